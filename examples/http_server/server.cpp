#include "server.hpp"

#include "connection.hpp"

#include <coir/deadline.hpp>
#include <coir/fiber.hpp>
#include <coir/this_fiber.hpp>

#include <exception>
#include <iostream>
#include <memory>
#include <system_error>
#include <utility>

namespace http_server {
namespace {

/// Of something that clients who leave give back. accept() has waited a little before it said so.
bool is_shortage(const std::error_code& error) noexcept {
    return error == std::errc::too_many_files_open || error == std::errc::too_many_files_open_in_system ||
           error == std::errc::not_enough_memory || error == std::errc::no_buffer_space;
}

} // namespace

server::server(service& shared) : shared_(shared), listener_(shared.settings.address, shared.settings.port) {}

void server::run() {
    bool complained = false;
    while (!shared_.stopping) {
        std::error_code error;
        coir::net::tcp_stream stream = listener_.accept(error);
        if (!error) {
            complained = false;
            welcome(std::move(stream));
        } else if (!shared_.stopping) {
            if (!is_shortage(error))
                throw std::system_error{error, "accept"};
            if (!std::exchange(complained, true))
                std::cerr << "http_server: accept: " << error.message() << '\n';
        }
    }

    if (!shared_.connections.empty())
        shared_.drain.wait();
    shared_.drain = {};
    if (!shared_.connections.empty())
        std::cerr << "http_server: gave up on " << shared_.connections.size() << " connections\n";
}

client_stream server::secured(coir::net::tcp_stream stream) const {
    return shared_.tls ? client_stream{std::move(stream), *shared_.tls} : client_stream{std::move(stream)};
}

void server::welcome(coir::net::tcp_stream stream) {
    try {
        if (shared_.connections.size() >= shared_.settings.max_connections)
            return connection::turn_away(secured(std::move(stream)), shared_.now);
        auto client = std::make_unique<connection>(shared_, secured(std::move(stream)));
        coir::spawn([client = std::move(client)] { client->serve(); }).detach();
    } catch (const std::exception& error) {
        // No stack for one more fiber: that connection is closed, the others go on.
        std::cerr << "http_server: connection refused: " << error.what() << '\n';
    }
}

void server::stop() {
    if (shared_.stopping)
        return shared_.drain.cancel();
    shared_.stopping = true;
    std::error_code error;
    listener_.close(error);
    const coir::deadline end = shared_.settings.drain_timeout;
    shared_.drain = coir::spawn([end] { coir::this_fiber::sleep_until(end); });
    for (connection* each : shared_.connections)
        each->end_if_idle();
}

} // namespace http_server
