/// A static file server over HTTP/1.1, written in blocking style: one fiber for each connection.

#include "options.hpp"
#include "request_parser.hpp"
#include "server.hpp"
#include "service.hpp"

#include <coir/descriptor.hpp>
#include <coir/fiber.hpp>
#include <coir/run.hpp>

#include <CLI/CLI.hpp>

#include <csignal>
#include <exception>
#include <iostream>
#include <span>
#include <string>
#include <sys/resource.h>
#include <sys/signalfd.h>

namespace {

/// The options, or what the program is to exit with.
int parse_command_line(int argc, char** argv, http_server::options& chosen) {
    CLI::App app{"Serves the files below a directory over HTTP."};
    app.add_option("--root", chosen.root, "directory to serve")->capture_default_str();
    app.add_option("--address", chosen.address, "address to listen on, in numbers")->capture_default_str();
    app.add_option("--port", chosen.port, "port to listen on; 0: any free one")->capture_default_str();
    app.add_option("--header-limit", chosen.header_limit, "bytes of request line and fields; more is answered by 431")
        ->check(CLI::Range(256, 1 << 20))
        ->capture_default_str();
    CLI::Option* certificate = app.add_option("--certificate", chosen.certificate,
                                              "serve HTTPS: file of the certificate and its issuers, PEM");
    CLI::Option* key = app.add_option("--key", chosen.key, "file of the certificate's private key, PEM");
    certificate->needs(key);
    key->needs(certificate);
    std::string status_help = "path that answers with the numbers of connections and requests, as JSON";
    app.add_option("--status-path", chosen.status_path, status_help)->check([](const std::string& path) {
        return path.starts_with('/') ? std::string{} : "must start with a slash";
    });
    app.add_option("--max-connections", chosen.max_connections,
                   "connections at a time; further ones are answered by 503")
        ->capture_default_str();
    const auto add_seconds = [&](const std::string& name, std::chrono::seconds& value, const std::string& help) {
        app.add_option_function<unsigned>(
               name, [&value](unsigned n) { value = std::chrono::seconds{n}; }, help)
            ->default_str(std::to_string(value.count()));
    };
    add_seconds("--header-timeout", chosen.header_timeout, "seconds for the head of a request, from its first byte");
    add_seconds("--idle-timeout", chosen.idle_timeout,
                "seconds without a request, or without taking any of an answer, after which a client is dropped");
    add_seconds("--drain-timeout", chosen.drain_timeout, "seconds to finish what is under way after SIGINT or SIGTERM");
    try {
        app.parse(argc, argv);
        return -1;
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 2;
    }
}

/// One descriptor for each connection: as many as the administrator allows, not as few as a shell starts with.
void raise_descriptor_limit() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        ::setrlimit(RLIMIT_NOFILE, &limit);
    }
}

sigset_t termination_signals() {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    return signals;
}

/// Waits for signals as for any other input: no handler, so nothing of the program is ever interrupted.
void stop_on_signals(coir::io::descriptor& signals, http_server::server& server) {
    signalfd_siginfo info{};
    for (;;) {
        signals.read_some(std::as_writable_bytes(std::span{&info, 1}));
        server.stop();
    }
}

void serve(http_server::service& shared) {
    // First, because when clients have taken all descriptors it would be too late.
    const sigset_t set = termination_signals();
    coir::io::descriptor signals{::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC)};
    http_server::server server{shared};
    std::cout << "listening on " << (shared.tls ? "https" : "http") << "://" << server.local_endpoint().to_string()
              << "/" << std::endl;
    // Ends with this function: the destructor of a fiber cancels it.
    const coir::fiber<void> stopper = coir::spawn({.name = "signals"}, [&] { stop_on_signals(signals, server); });
    server.run();
}

} // namespace

int main(int argc, char** argv) {
    http_server::options chosen;
    if (const int status = parse_command_line(argc, argv, chosen); status >= 0)
        return status;
    try {
        raise_descriptor_limit();
        // Blocked before there is a loop: from here on they arrive at the descriptor only.
        const sigset_t signals = termination_signals();
        ::sigprocmask(SIG_BLOCK, &signals, nullptr);
        http_server::request_parser::set_header_limit(chosen.header_limit);
        http_server::service shared{chosen};
        coir::run([&shared] { serve(shared); });
        return 0;
    } catch (const std::exception& error) {
        std::cerr << "http_server: " << error.what() << '\n';
        return 1;
    }
}
