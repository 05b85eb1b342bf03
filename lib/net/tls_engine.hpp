#pragma once

#include "net/tls_wire.hpp"

#include <coir/tls_context.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <system_error>

struct ssl_st;
struct ssl_ctx_st;

/// \file
/// What TLS is made of, without waiting and without fibers: the seam between net::tls_stream, which waits, and OpenSSL, which
/// computes (openssl_*.cpp; openssl_absent.cpp when coir is built without it). No fiber is ever suspended inside OpenSSL, whose
/// error queue belongs to the thread (hazard D4).
namespace coir::detail {

/// A session of a client, and the host and configuration that it is of.
class tls_ticket {
public:
    tls_ticket() = default;
    tls_ticket(const tls_ticket&) = delete;
    tls_ticket& operator=(const tls_ticket&) = delete;
    virtual ~tls_ticket() = default;
};

/// How a step of an engine ended.
enum class tls_step : std::uint8_t {
    done,
    wants_input, ///< call again when the socket is readable
    ended,       ///< the peer has said that this was all
    failed,      ///< see failure()
};

/// The state machine of one connection. After any step there may be something to send in the wire.
class tls_engine {
public:
    tls_engine() = default;
    tls_engine(const tls_engine&) = delete;
    tls_engine& operator=(const tls_engine&) = delete;
    virtual ~tls_engine() = default;

    virtual tls_step shake_hands() noexcept = 0;
    /// At least one byte when done. `buffer` is not empty.
    virtual tls_step decrypt(std::span<std::byte> buffer, std::size_t& got) noexcept = 0;
    /// Takes all that it is given when done. `data` is not empty. What fits one record may have left already.
    virtual tls_step encrypt(std::span<const std::byte> data, std::size_t& taken) noexcept = 0;
    /// Says that there will be no more. This and encrypt() want input in the middle of a message of the peer's.
    virtual tls_step end_writing() noexcept = 0;

    /// Why a step failed: tls_category(), or the system's. Stays.
    [[nodiscard]] virtual std::error_code failure() const noexcept = 0;
    [[nodiscard]] virtual bool has_shaken_hands() const noexcept = 0;
    /// decrypt() may find something without asking the socket.
    [[nodiscard]] virtual bool has_input() const noexcept = 0;
    [[nodiscard]] virtual bool is_client() const noexcept = 0;

    [[nodiscard]] virtual std::shared_ptr<const tls_ticket> ticket() const = 0;
    [[nodiscard]] virtual bool is_resumed() const noexcept = 0;
    [[nodiscard]] virtual std::string protocol() const = 0;
    [[nodiscard]] virtual std::string server_name() const = 0;
    [[nodiscard]] virtual std::string version() const = 0;
    [[nodiscard]] virtual std::string cipher() const = 0;
    [[nodiscard]] virtual std::string peer_certificate() const = 0;
    [[nodiscard]] virtual ssl_st* native_handle() const noexcept = 0;
};

/// What a tls_context is.
class tls_configuration {
public:
    tls_configuration() = default;
    tls_configuration(const tls_configuration&) = delete;
    tls_configuration& operator=(const tls_configuration&) = delete;
    virtual ~tls_configuration() = default;

    [[nodiscard]] virtual bool is_server() const noexcept = 0;
    [[nodiscard]] virtual bool verifies() const noexcept = 0;
    [[nodiscard]] virtual ssl_ctx_st* native_handle() const noexcept = 0;
    virtual void add_name(std::string_view name, std::shared_ptr<tls_configuration> other) = 0;

    /// `wire` must live longer. `resumed` may be null.
    [[nodiscard]] virtual std::unique_ptr<tls_engine> make_client(tls_wire& wire, std::string_view host,
                                                                  const tls_ticket* resumed) const = 0;
    [[nodiscard]] virtual std::unique_ptr<tls_engine> make_server(tls_wire& wire) const = 0;
};

[[nodiscard]] std::shared_ptr<tls_configuration> make_tls_configuration(const net::tls_client_options& options);
[[nodiscard]] std::shared_ptr<tls_configuration> make_tls_configuration(const net::tls_server_options& options);

/// The text for a code of tls_category() that is not one of tls_errc of our own.
[[nodiscard]] std::string describe_tls_error(int code);

} // namespace coir::detail
