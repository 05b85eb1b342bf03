#include "tls_load.hpp"

#include "loopback.hpp"
#include "tls_servers.hpp"

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include <fcntl.h>
#include <openssl/ssl.h>
#include <unistd.h>

tls_load::tls_load(std::uint16_t port, std::size_t piece)
    : expected_(tls_piece(piece)), buffer_(SSL3_RT_MAX_PLAIN_LENGTH), socket_(connect_to_loopback(port)),
      context_(SSL_CTX_new(TLS_client_method())) {
    // Whom it talks to is of no interest here: no verification.
    if (!context_ || SSL_CTX_set_min_proto_version(context_, TLS1_3_VERSION) != 1 ||
        SSL_CTX_set_ciphersuites(context_, "TLS_AES_256_GCM_SHA384") != 1 || !(server_ = SSL_new(context_)) ||
        SSL_set_fd(server_, socket_) != 1 || SSL_connect(server_) != 1)
        throw std::runtime_error{"SSL_connect"};
    ::fcntl(socket_, F_SETFL, O_NONBLOCK);
}

tls_load::~tls_load() {
    SSL_free(server_);
    SSL_CTX_free(context_);
    ::close(socket_);
}

tls_load::result tls_load::run(std::chrono::nanoseconds duration) {
    using clock = std::chrono::steady_clock;
    result found;
    for (const auto start = clock::now(); found.duration < duration; found.duration = clock::now() - start) {
        const tls_request all{at_once, expected_.size()};
        if (SSL_write(server_, &all, sizeof all) != sizeof all)
            throw std::runtime_error{"SSL_write"};
        read_and_compare();
        found.bytes += at_once;
    }
    return found;
}

void tls_load::read_and_compare() {
    std::size_t position = 0; // in the piece
    for (std::uint64_t left = at_once; left > 0;) {
        const std::size_t most = std::min({left, buffer_.size(), expected_.size() - position});
        std::size_t got = 0;
        if (SSL_read_ex(server_, buffer_.data(), most, &got) != 1) {
            if (SSL_get_error(server_, 0) == SSL_ERROR_WANT_READ)
                continue;
            throw std::runtime_error{"SSL_read"};
        }
        if (std::memcmp(buffer_.data(), expected_.data() + position, got) != 0)
            throw std::runtime_error{"what came is not what was asked for"};
        position = (position + got) % expected_.size();
        left -= got;
    }
}
