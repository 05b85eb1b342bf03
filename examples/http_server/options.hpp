#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

namespace http_server {

/// What can be set on the command line. main.cpp says what each means to a user.
struct options {
    std::string root = ".";
    std::string address = "127.0.0.1";
    std::uint16_t port = 8080;
    std::uint32_t header_limit = 16 * 1024;  // bytes of request line and fields
    std::chrono::seconds header_timeout{10}; // for one request's head, from its first byte
    std::chrono::seconds idle_timeout{30};   // between requests; and for a client that takes nothing of an answer
    std::chrono::seconds drain_timeout{10};  // for the answers under way when the server is told to stop
    std::size_t max_connections = 10'000;
    std::string certificate; // PEM files of a chain and its key; empty: no TLS
    std::string key;
    std::string status_path; // empty: no status page
};

} // namespace http_server
