#pragma once

#include "net/openssl.hpp"
#include "net/openssl_context.hpp"
#include "net/tls_engine.hpp"

#include <memory>
#include <string>

namespace coir::detail {

/// An SSL whose BIO is a tls_wire.
///
/// The wire takes all output, so OpenSSL never has to write again what it could not write: no SSL_ERROR_WANT_WRITE, no half
/// record that only the same data may complete, and a reader that has to answer (a KeyUpdate) needs nobody's permission.
class openssl_engine final : public tls_engine {
public:
    /// A client.
    openssl_engine(std::shared_ptr<const openssl_configuration> configuration, tls_wire& wire, std::string_view host,
                   const tls_ticket* resumed);
    /// A server.
    openssl_engine(std::shared_ptr<const openssl_configuration> configuration, tls_wire& wire);
    ~openssl_engine() override;

    tls_step shake_hands() noexcept override;
    tls_step decrypt(std::span<std::byte> buffer, std::size_t& got) noexcept override;
    tls_step encrypt(std::span<const std::byte> data, std::size_t& taken) noexcept override;
    tls_step end_writing() noexcept override;

    [[nodiscard]] std::error_code failure() const noexcept override { return failure_; }
    [[nodiscard]] bool has_shaken_hands() const noexcept override { return has_shaken_hands_; }
    [[nodiscard]] bool has_input() const noexcept override { return SSL_has_pending(ssl_.get()) == 1; }
    [[nodiscard]] bool is_client() const noexcept override { return SSL_is_server(ssl_.get()) == 0; }

    [[nodiscard]] std::shared_ptr<const tls_ticket> ticket() const override;
    [[nodiscard]] bool is_resumed() const noexcept override { return SSL_session_reused(ssl_.get()) == 1; }
    [[nodiscard]] std::string protocol() const override;
    [[nodiscard]] std::string server_name() const override;
    [[nodiscard]] std::string version() const override;
    [[nodiscard]] std::string cipher() const override;
    [[nodiscard]] std::string peer_certificate() const override;
    [[nodiscard]] ssl_st* native_handle() const noexcept override { return ssl_.get(); }

    /// For callbacks of the SSL_CTX: the engine of `ssl`, or null.
    [[nodiscard]] static openssl_engine* find(SSL* ssl) noexcept;
    /// As which it was made.
    [[nodiscard]] const openssl_configuration& configuration() const noexcept { return *configuration_; }
    /// Its SSL has the SSL_CTX of `other` from now on, which may be replaced while the handshake goes on.
    void keep(std::shared_ptr<tls_configuration> other) noexcept { shown_ = std::move(other); }

private:
    void attach(tls_wire& wire);
    [[nodiscard]] tls_step step_of(int result) noexcept;
    tls_step fail(std::error_code why) noexcept;
    [[nodiscard]] bool is_flooded() const noexcept;

    static BIO_METHOD* wire_method();
    static openssl_pointer<BIO_METHOD, BIO_meth_free> make_wire_method();
    static void count_message(int is_ours, int version, int kind, const void* data, std::size_t size, SSL* ssl,
                              void* self) noexcept;
    static int read_wire(BIO* bio, char* buffer, int size) noexcept;
    static int write_wire(BIO* bio, const char* data, int size) noexcept;
    static long control_wire(BIO* bio, int command, long number, void* pointer) noexcept;

    const std::shared_ptr<const openssl_configuration> configuration_; // the callbacks of the SSL_CTX point at it
    std::shared_ptr<tls_configuration> shown_;                         // likewise, once the SSL has that one's SSL_CTX
    tls_wire* wire_ = nullptr;
    std::error_code wire_error_;
    unsigned messages_ = 0; // received in this step: records, and messages of TLS itself
    bool input_ended_ = false;
    bool has_shaken_hands_ = false;
    bool writes_one_record_ = false; // during encrypt(): nothing follows that could leave in the same system call
    std::error_code failure_;
    std::string host_; // of a client
    ssl_pointer ssl_;  // last: it must go first
};

} // namespace coir::detail
