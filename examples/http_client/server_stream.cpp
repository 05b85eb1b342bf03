#include "server_stream.hpp"

#include <coir/connect.hpp>

#include <stdexcept>
#include <system_error>
#include <utility>

namespace http_client {

server_stream::server_stream(const url& to, const std::optional<coir::net::tls_context>& tls, coir::deadline until)
    : plain_(coir::net::connect(to.host, to.port, {}, until)) {
    if (!to.is_secure)
        return;
    if (!tls)
        throw std::invalid_argument("https is not available");
    secure_ = coir::net::tls_stream{*tls, std::move(plain_), to.host};
    secure_.handshake(until);
}

void server_stream::close() noexcept {
    std::error_code ignored; // the answer is here already
    secure_.close(ignored);
    plain_.close(ignored);
}

} // namespace http_client
