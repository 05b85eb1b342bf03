#pragma once

#include "io/descriptors.hpp"
#include "net/certificates.hpp"
#include "net/tcp_pair.hpp"

#include <coir/coir.hpp>

#include <chrono>
#include <netinet/in.h>
#include <string>
#include <sys/socket.h>
#include <utility>
#include <vector>

/// Two ends of a connection over TLS on loopback, in fibers of one thread.
namespace coir::test {

using namespace std::chrono_literals;

inline const authority& trusted_authority() {
    static const authority only;
    return only;
}

inline net::tls_context trusting_client(const std::vector<std::string>& protocols = {}) {
    net::tls_client_options options;
    options.trust.pem = trusted_authority().pem();
    options.protocols = protocols;
    return net::tls_context::client(options);
}

inline net::tls_context server_of(const net::tls_identity& identity, const std::vector<std::string>& protocols = {}) {
    net::tls_server_options options;
    options.identity = identity;
    options.protocols = protocols;
    return net::tls_context::server(options);
}

inline net::tls_context good_server() {
    static const net::tls_identity identity = trusted_authority().issue();
    return server_of(identity);
}

struct tls_pair {
    net::tls_stream client;
    net::tls_stream server;
};

/// Before the handshake.
inline tls_pair connect_tls(const net::tls_context& client = trusting_client(),
                            const net::tls_context& server = good_server(), const std::string& host = "localhost",
                            const net::tls_session& resumed = {}) {
    tcp_pair made = connect_tcp();
    return {net::tls_stream{client, std::move(made.near), host, resumed}, net::tls_stream{server, std::move(made.far)}};
}

struct both_errors {
    std::error_code client;
    std::error_code server;
};

/// What each side makes of the handshake.
inline both_errors shake_hands(tls_pair& pair) {
    auto server = spawn([&] { return error_of([&](auto& error) { pair.server.handshake(error, 20s); }); });
    both_errors result;
    pair.client.handshake(result.client, 20s);
    if (result.client)
        pair.client.close(); // it does not say so twice
    result.server = server.join();
    return result;
}

/// After the handshake.
inline tls_pair secure_pair() {
    tls_pair made = connect_tls();
    const both_errors errors = shake_hands(made);
    EXPECT_FALSE(errors.client) << errors.client.message();
    EXPECT_FALSE(errors.server) << errors.server.message();
    return made;
}

/// Closing sends a reset.
inline void reset_on_close(int socket) {
    const linger at_once{1, 0};
    ::setsockopt(socket, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

/// Little room in the kernel for what is sent, so that writers wait soon.
inline void make_narrow(int socket) {
    const int least = 1;
    ::setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &least, sizeof least);
}

/// Bytes that tell where they belong.
inline std::byte byte_at(std::size_t position) {
    return static_cast<std::byte>(position * 31 + position / 251);
}

} // namespace coir::test
