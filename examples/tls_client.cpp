/// TLS: a server with a certificate of its own, a client that trusts it, and one that does not.

#include <coir/coir.hpp>

#include <array>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <span>
#include <string>
#include <system_error>

using namespace std::chrono_literals;
namespace net = coir::net;

namespace {
/// A certificate for "localhost" that nobody but itself has signed, and its key, in files.
net::tls_identity make_identity(const std::filesystem::path& folder) {
    net::tls_identity made;
    made.certificate_file = folder / "certificate.pem";
    made.key_file = folder / "key.pem";
    const std::string command =
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=localhost "
        "-addext subjectAltName=DNS:localhost 2>/dev/null -keyout " +
        made.key_file + " -out " + made.certificate_file;
    if (std::system(command.c_str()) != 0)
        throw std::runtime_error("openssl req");
    return made;
}

/// Says what it hears in capital letters, until the client has said that this was all.
void serve(const net::tls_context& context, net::tcp_listener& listener) {
    net::tls_stream peer{context, listener.accept()};
    std::array<char, 256> buffer;
    while (const std::size_t size = peer.read_some(std::as_writable_bytes(std::span{buffer}), 5s)) {
        for (char& c : std::span{buffer}.first(size))
            c = (c >= 'a' && c <= 'z') ? static_cast<char>(c - 'a' + 'A') : c;
        peer.write_all(std::as_bytes(std::span{buffer}.first(size)), 5s);
    }
    peer.close();
}

std::string ask(const net::tls_context& context, const net::endpoint& server, std::string text) {
    net::tls_stream stream{context, net::tcp_stream{server, 5s}, "localhost"};
    stream.handshake(5s); // throws unless it is really localhost
    stream.write_all(std::as_bytes(std::span{text}), 5s);
    stream.read_all(std::as_writable_bytes(std::span{text}), 5s);
    stream.close();
    return text;
}

int run_in(const std::filesystem::path& folder) {
    const net::tls_identity identity = make_identity(folder);
    const auto server_context = net::tls_context::server({.identity = identity, .trust = {}, .protocols = {}});
    net::tcp_listener listener{"127.0.0.1", 0};
    net::tls_client_options options;
    options.trust.file = identity.certificate_file;
    const coir::fiber<void> server = coir::spawn(serve, server_context, std::ref(listener));
    std::cout << ask(net::tls_context::client(options), listener.local_endpoint(), "hello") << '\n';

    coir::spawn(serve, server_context, std::ref(listener)).detach(); // this one will be told why, and fail
    try {
        ask(net::tls_context::client(), listener.local_endpoint(), "hello");
    } catch (const std::system_error& error) {
        std::cout << error.what() << '\n'; // … with localhost (127.0.0.1:…): self-signed certificate
        return 0;
    }
    return 1;
}
} // namespace

int main() {
    std::string folder = std::filesystem::temp_directory_path() / "coir-tls-XXXXXX";
    if (!::mkdtemp(folder.data()))
        return 1;
    const int status = coir::run([&] { return run_in(folder); });
    std::filesystem::remove_all(folder);
    return status;
}
