#pragma once

#include <coir/tcp_listener.hpp>
#include <coir/tcp_stream.hpp>

#include <chrono>
#include <utility>

namespace coir::test {

/// Two ends of a connection.
struct tcp_pair {
    net::tcp_stream near;
    net::tcp_stream far;
};

/// Over loopback: `address`.
inline tcp_pair connect_tcp(const char* address = "127.0.0.1") {
    using namespace std::chrono_literals;
    net::tcp_listener listener{address, 0};
    net::tcp_stream near{listener.local_endpoint(), 5s};
    return {std::move(near), listener.accept(5s)};
}

} // namespace coir::test
