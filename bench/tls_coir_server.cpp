#include "tls_servers.hpp"

#include <coir/io.hpp>
#include <coir/run.hpp>
#include <coir/tcp_listener.hpp>
#include <coir/tls_stream.hpp>

#include <algorithm>
#include <span>

void serve_tls_by_coir(int announce, const coir::net::tls_identity& identity) {
    coir::run([&] {
        coir::net::tls_server_options options;
        options.identity = identity;
        const auto context = coir::net::tls_context::server(options);
        coir::net::tcp_listener listener{"127.0.0.1", 0};
        const std::uint16_t port = listener.local_endpoint().port();
        coir::io::write_all(announce, std::as_bytes(std::span{&port, 1}));

        coir::net::tls_stream peer{context, listener.accept()};
        std::vector<std::byte> piece;
        tls_request asked{};
        while (peer.read_all(std::as_writable_bytes(std::span{&asked, 1})) == sizeof asked) {
            if (piece.size() != asked.piece)
                piece = tls_piece(asked.piece);
            for (std::size_t left = asked.bytes; left > 0;)
                left -= peer.write_all(std::span{piece}.first(std::min(left, piece.size())));
        }
    });
}
