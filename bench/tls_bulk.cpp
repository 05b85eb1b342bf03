/// \file
/// tls_bulk: what one connection over TLS 1.3 (AES-256-GCM) gets from a server: a fiber of coir with net::tls_stream, beside blocking
/// calls of OpenSSL, as `openssl s_server` makes them.
///
/// The two servers are processes of their own on one core, with the same certificate; so is the client of each, on another. They
/// are measured in turn, A B B A. The server that nobody asks sleeps. Prints one line for every pair: MB per second of the
/// server's processor time, of coir, of OpenSSL. By the clock the slower of server and client would be measured, which is often
/// the client; what they reach together stands in a line that begins with #.
///
///     tls_bulk BYTES_PER_WRITE PAIRS SECONDS_PER_TURN

#include "certificates.hpp"
#include "cores.hpp"
#include "pinned_process.hpp"
#include "processor_time.hpp"
#include "tls_load.hpp"
#include "tls_servers.hpp"

#include <chrono>
#include <cmath>
#include <cstdint>
#include <exception>
#include <iostream>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>

namespace {

using seconds = std::chrono::duration<double>;

void be_load(int channel, std::uint16_t port, std::size_t piece) {
    tls_load load{port, piece};
    send_value(channel, tls_load::result{});
    for (;;)
        send_value(channel, load.run(receive_value<std::chrono::nanoseconds>(channel)));
}

/// A server and its client.
class site {
public:
    using serve = void (*)(int announce, const coir::net::tls_identity& identity);

    site(const char* name, serve by, const coir::net::tls_identity& identity, int core)
        : name_(name), server_(name, core, [&](int channel) { by(channel, identity); }),
          port_(receive_value<std::uint16_t>(server_.channel())) {}

    void connect(int core, std::size_t piece) {
        load_.emplace(name_, core, [=, port = port_](int channel) { be_load(channel, port, piece); });
        (void)receive_value<tls_load::result>(load_->channel());
    }

    /// MB per second of the server's processor time.
    double measure(std::chrono::nanoseconds turn) {
        const auto before = processor_time_of(server_.id());
        send_value(load_->channel(), turn);
        const auto result = receive_value<tls_load::result>(load_->channel());
        // The client has everything; let the server find out that there is no other request.
        std::this_thread::sleep_for(std::chrono::milliseconds{2});
        const seconds used = processor_time_of(server_.id()) - before;
        all_.bytes += result.bytes;
        all_.duration += result.duration;
        return megabytes(result) / used.count();
    }

    /// Of all turns, by the clock.
    [[nodiscard]] double per_second() const { return megabytes(all_) / seconds{all_.duration}.count(); }

private:
    static double megabytes(const tls_load::result& of) { return static_cast<double>(of.bytes) / 1e6; }

    const char* name_;
    pinned_process server_;
    std::uint16_t port_;
    std::optional<pinned_process> load_;
    tls_load::result all_;
};

void compare(std::size_t piece, int pairs, std::chrono::nanoseconds turn) {
    const auto [server_core, load_core] = two_cores();
    const coir::net::tls_identity identity = coir::test::authority::self_signed();
    site coir{"coir", serve_tls_by_coir, identity, server_core};
    site openssl{"openssl", serve_tls_by_openssl, identity, server_core};
    for (site* each : {&coir, &openssl}) {
        each->connect(load_core, piece);
        each->measure(turn); // warm-up
    }
    for (int i = 0; i < pairs; ++i) {
        const bool coir_first = i % 2 == 0;
        const double first = (coir_first ? coir : openssl).measure(turn);
        const double second = (coir_first ? openssl : coir).measure(turn);
        std::cout << (coir_first ? first : second) << ' ' << (coir_first ? second : first) << std::endl;
    }
    std::cout << "# by the clock, with the client: " << std::lround(coir.per_second()) << " MB/s of coir, "
              << std::lround(openssl.per_second()) << " of OpenSSL\n";
}

} // namespace

int main(int argc, char** argv) try {
    if (argc != 4)
        throw std::runtime_error{"usage: tls_bulk BYTES_PER_WRITE PAIRS SECONDS_PER_TURN"};
    compare(std::stoul(argv[1]), std::stoi(argv[2]),
            std::chrono::nanoseconds{static_cast<std::int64_t>(std::stod(argv[3]) * 1e9)});
} catch (const std::exception& error) {
    std::cerr << "tls_bulk: " << error.what() << '\n';
    return 1;
}
