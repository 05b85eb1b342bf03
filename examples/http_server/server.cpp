#include "server.hpp"

#include "connection.hpp"

#include <coir/serve.hpp>

#include <exception>
#include <iostream>
#include <string_view>
#include <utility>

namespace http_server {
namespace {

void complain(std::exception_ptr failure, std::string_view endpoint) {
    try {
        std::rethrow_exception(std::move(failure));
    } catch (const std::exception& error) {
        std::cerr << "http_server: " << endpoint << ": " << error.what() << '\n';
    }
}

} // namespace

server::server(service& shared) : shared_(shared), listener_(shared.settings.address, shared.settings.port) {}

// Without serve_options::max_connections: clients would wait in the backlog, where they are told nothing.
void server::run() {
    coir::net::serve(listener_, [this](coir::net::tcp_stream stream) { attend(std::move(stream)); },
                     {.stop = &stop_, .drain = shared_.settings.drain_timeout, .on_error = complain});
    say_if_abandoned(shared_.cancelled);
}

client_stream server::secured(coir::net::tcp_stream stream) const {
    return shared_.tls ? client_stream{std::move(stream), *shared_.tls} : client_stream{std::move(stream)};
}

void server::attend(coir::net::tcp_stream stream) {
    if (shared_.connections.size() >= shared_.settings.max_connections)
        return connection::turn_away(secured(std::move(stream)), shared_.now);
    connection{shared_, secured(std::move(stream))}.serve();
}

void server::stop() {
    if (!std::exchange(shared_.stopping, true)) {
        stop_.set();
        for (connection* each : shared_.connections)
            each->end_if_idle();
        return;
    }
    say_if_abandoned(shared_.connections.size());
    for (connection* each : shared_.connections)
        each->end_now();
}

void server::say_if_abandoned(std::size_t connections) {
    if (connections > 0)
        std::cerr << "http_server: gave up on " << connections
                  << (connections == 1 ? " connection\n" : " connections\n");
}

} // namespace http_server
