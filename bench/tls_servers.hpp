#pragma once

#include <coir/tls_context.hpp>

#include <cstddef>
#include <cstdint>
#include <vector>

/// \file
/// The servers of tls_bulk. They are bound to a port of 127.0.0.1 that the kernel chooses, write its number (a std::uint16_t) to
/// the descriptor `announce`, accept one connection, and give it what it asks for until it ends.

/// What the client sends, as it lies in memory.
struct tls_request {
    std::uint64_t bytes;
    std::uint64_t piece; ///< How many of them the server gives to the library in one call.
};

/// What the pieces consist of; `bytes` is made of their beginnings.
inline std::vector<std::byte> tls_piece(std::size_t size) {
    std::vector<std::byte> made(size);
    std::uint32_t number = 1;
    for (std::byte& each : made) {
        number = number * 1'664'525 + 1'013'904'223;
        each = static_cast<std::byte>(number >> 24U);
    }
    return made;
}

void serve_tls_by_coir(int announce, const coir::net::tls_identity& identity);
void serve_tls_by_openssl(int announce, const coir::net::tls_identity& identity);
