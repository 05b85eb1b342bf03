#include "tls_servers.hpp"

#include <algorithm>
#include <cerrno>
#include <stdexcept>
#include <system_error>

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

/// \file
/// What `openssl s_server` does: a blocking socket below SSL_read and SSL_write, all else as OpenSSL has it by itself. The process
/// ends with its only connection, which frees everything.

namespace {

[[noreturn]] void fail(const char* operation) {
    throw std::system_error{errno, std::generic_category(), operation};
}

SSL_CTX* context_with(const coir::net::tls_identity& identity) {
    const auto reader_of = [](const std::string& text) {
        return BIO_new_mem_buf(text.data(), static_cast<int>(text.size()));
    };
    SSL_CTX* context = SSL_CTX_new(TLS_server_method());
    X509* certificate = PEM_read_bio_X509(reader_of(identity.certificate_pem), nullptr, nullptr, nullptr);
    EVP_PKEY* key = PEM_read_bio_PrivateKey(reader_of(identity.key_pem), nullptr, nullptr, nullptr);
    if (!context || SSL_CTX_use_certificate(context, certificate) != 1 || SSL_CTX_use_PrivateKey(context, key) != 1)
        throw std::runtime_error{"the certificate of the server"};
    return context;
}

/// The socket of the one client.
int accept_one(int announce) {
    const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const any = reinterpret_cast<sockaddr*>(&address);
    if (listener < 0 || ::bind(listener, any, size) != 0 || ::listen(listener, 1) != 0 ||
        ::getsockname(listener, any, &size) != 0)
        fail("listen");
    const std::uint16_t port = ntohs(address.sin_port);
    if (::write(announce, &port, sizeof port) != sizeof port)
        fail("write");
    const int socket = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (socket < 0)
        fail("accept");
    const int on = 1;
    ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); // as s_server, and as coir
    return socket;
}

} // namespace

void serve_tls_by_openssl(int announce, const coir::net::tls_identity& identity) {
    SSL* peer = SSL_new(context_with(identity));
    if (!peer || SSL_set_fd(peer, accept_one(announce)) != 1 || SSL_accept(peer) != 1)
        throw std::runtime_error{"SSL_accept"};
    std::vector<std::byte> piece;
    tls_request asked{};
    // A request is one record, and so comes whole.
    for (std::size_t got = 0; SSL_read_ex(peer, &asked, sizeof asked, &got) == 1 && got == sizeof asked;) {
        if (piece.size() != asked.piece)
            piece = tls_piece(asked.piece);
        for (std::size_t left = asked.bytes; left > 0;) {
            std::size_t written = 0;
            if (SSL_write_ex(peer, piece.data(), std::min(left, piece.size()), &written) != 1)
                throw std::runtime_error{"SSL_write"};
            left -= written;
        }
    }
}
