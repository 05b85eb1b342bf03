#pragma once

#include "url.hpp"

#include <coir/deadline.hpp>
#include <coir/tcp_stream.hpp>
#include <coir/tls_context.hpp>
#include <coir/tls_stream.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace http_client {

/// The connection to a server, over TLS where the URL says https. Its calls suspend and throw as those of tcp_stream.
class server_stream {
public:
    /// Connects, and shakes hands.
    server_stream(const url& to, const std::optional<coir::net::tls_context>& tls, coir::deadline until);

    std::size_t read_some(std::span<std::byte> buffer, coir::deadline until) {
        return secure_ ? secure_.read_some(buffer, until) : plain_.read_some(buffer, until);
    }
    void write_all(std::span<const std::byte> buffer, coir::deadline until) {
        secure_ ? secure_.write_all(buffer, until) : plain_.write_all(buffer, until);
    }
    void close() noexcept;

private:
    coir::net::tcp_stream plain_;
    coir::net::tls_stream secure_;
};

} // namespace http_client
