#pragma once

#include "exchange.hpp"
#include "file_store.hpp"
#include "options.hpp"
#include "this_second.hpp"

#include <coir/tls_context.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <unordered_set>

namespace http_server {

class connection;

/// What the connections share. They are fibers of one loop, of which one runs at a time: no locks.
struct service {
    /// Throws std::system_error that says what is wrong with the root or the certificate.
    explicit service(const options& chosen) : settings(chosen), now(settings), files(settings.root) {
        if (!settings.certificate.empty())
            tls = coir::net::tls_context::server({.identity = {.certificate_file = settings.certificate,
                                                               .key_file = settings.key,
                                                               .certificate_pem = {},
                                                               .key_pem = {}},
                                                  .trust = {},
                                                  .protocols = {"http/1.1"}});
    }

    const options settings;
    this_second now;
    file_store files;
    std::optional<coir::net::tls_context> tls; // none: plain HTTP
    exchange_pool exchanges;

    std::unordered_set<connection*> connections; // each enters and leaves by itself
    std::uint64_t requests = 0;                  // answered since the start
    std::size_t cancelled = 0;                   // connections that were still there at the drain deadline
    bool stopping = false;                       // answer what has begun, and nothing after
};

} // namespace http_server
