/// \file
/// tls_bulk: what one connection over TLS 1.3 (AES-256-GCM) gets from a server: a fiber of coir with net::tls_stream, beside blocking
/// calls of OpenSSL, as `openssl s_server` makes them.
///
/// The two servers are processes of their own on one core, with the same certificate; so is the client of each, on another. They
/// are measured in turn, A B B A. The server that nobody asks sleeps. Prints one line for every pair: MB per second of the
/// server's processor time, of coir, of OpenSSL. By the clock the slower of server and client would be measured, which is often
/// the client; what they reach together stands in a line that begins with #.
///
///     tls_bulk BYTES_PER_WRITE PAIRS SECONDS_PER_TURN

#include "certificates.hpp"
#include "cores.hpp"
#include "loaded_server.hpp"
#include "tls_load.hpp"
#include "tls_servers.hpp"

#include <chrono>
#include <cmath>
#include <cstdint>
#include <exception>
#include <iostream>
#include <stdexcept>
#include <string>

namespace {

using server = loaded_server<tls_load>;
using seconds = std::chrono::duration<double>;

/// What all turns of a server have moved, by the clock.
struct total {
    std::uint64_t bytes = 0;
    std::chrono::nanoseconds duration{};
};

double megabytes(std::uint64_t bytes) {
    return static_cast<double>(bytes) / 1e6;
}

long per_second(const total& of) {
    return std::lround(megabytes(of.bytes) / seconds{of.duration}.count());
}

void compare(std::size_t piece, int pairs, std::chrono::nanoseconds duration) {
    const auto [server_core, load_core] = two_cores();
    const coir::net::tls_identity identity = coir::test::authority::self_signed();
    const auto with_identity = [&identity](auto serve) {
        return [&identity, serve](int announce) { serve(announce, identity); };
    };
    server coir{"coir", with_identity(serve_tls_by_coir), server_core};
    server openssl{"openssl", with_identity(serve_tls_by_openssl), server_core};
    total by_coir;
    total by_openssl;
    compare_in_turn(coir, openssl, piece, pairs, duration, load_core, [&](const server::turn& of, const server& which) {
        total& all = &which == &coir ? by_coir : by_openssl;
        all.bytes += of.load.bytes;
        all.duration += of.load.duration;
        return megabytes(of.load.bytes) / seconds{of.processor_time}.count();
    });
    std::cout << "# by the clock, with the client: " << per_second(by_coir) << " MB/s of coir, "
              << per_second(by_openssl) << " of OpenSSL\n";
}

} // namespace

int main(int argc, char** argv) try {
    if (argc != 4)
        throw std::runtime_error{"usage: tls_bulk BYTES_PER_WRITE PAIRS SECONDS_PER_TURN"};
    compare(std::stoul(argv[1]), std::stoi(argv[2]),
            std::chrono::nanoseconds{static_cast<std::int64_t>(std::stod(argv[3]) * 1e9)});
} catch (const std::exception& error) {
    std::cerr << "tls_bulk: " << error.what() << '\n';
    return 1;
}
