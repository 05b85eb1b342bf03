#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

struct ssl_ctx_st;
struct ssl_st;

/// The load of tls_bulk: one connection, by OpenSSL alone, that asks for bytes, reads them and compares each with what it has
/// to be. Only TLS 1.3 with AES-256-GCM. It never sleeps: a server pays for waking a client of its own machine.
class tls_load {
public:
    /// Throws std::system_error, std::runtime_error.
    tls_load(std::uint16_t port, std::size_t piece);
    ~tls_load();
    tls_load(const tls_load&) = delete;
    tls_load& operator=(const tls_load&) = delete;

    struct result {
        std::uint64_t bytes = 0;
        std::chrono::nanoseconds duration{};
    };

    /// Asks for `at_once` bytes, and again until the time is over. Throws std::runtime_error for a wrong byte.
    result run(std::chrono::nanoseconds duration);

private:
    static constexpr std::uint64_t at_once = std::uint64_t{16} << 20U;

    void read_and_compare();

    std::vector<std::byte> expected_; ///< one piece
    std::vector<std::byte> buffer_;   ///< for one record
    int socket_;
    ssl_ctx_st* context_ = nullptr;
    ssl_st* server_ = nullptr;
};
