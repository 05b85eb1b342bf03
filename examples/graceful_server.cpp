/// Serves two clients at a time, survives a handler that fails, and answers what is under way before it ends.

#include <coir/event.hpp>
#include <coir/fiber.hpp>
#include <coir/run.hpp>
#include <coir/serve.hpp>
#include <coir/this_fiber.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <exception>
#include <iostream>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

using namespace std::chrono_literals;
using coir::net::tcp_stream;

namespace {

/// One line, one answer.
void answer(tcp_stream peer) {
    std::array<char, 100> line;
    const std::size_t size = peer.read_some(std::as_writable_bytes(std::span{line}), 5s);
    const std::string_view question{line.data(), size};
    if (question == "nonsense")
        throw std::runtime_error{"does not understand nonsense"};
    coir::this_fiber::sleep_for(10ms); // thinks
    const std::string text = "answer to " + std::string{question};
    peer.write_all(std::as_bytes(std::span{text}), 5s);
}

std::string ask(const coir::net::endpoint& server, const std::string& question) {
    tcp_stream stream{server, 5s};
    stream.write_all(std::as_bytes(std::span{question}), 5s);
    std::string got(100, '\0');
    got.resize(stream.read_all(std::as_writable_bytes(std::span{got}), 5s));
    return got; // empty if the server has closed
}

void complain(const std::exception_ptr& failure, std::string_view /*peer*/) try {
    std::rethrow_exception(failure);
} catch (const std::exception& error) {
    std::cout << "a handler failed: " << error.what() << '\n';
}

} // namespace

int main() try {
    return coir::run([] {
        coir::net::tcp_listener listener{"127.0.0.1", 0};
        const coir::net::endpoint where = listener.local_endpoint();
        coir::event stopping;
        coir::fiber<void> server = coir::spawn([&] {
            coir::net::serve(listener, answer,
                             {.max_connections = 2, .stop = &stopping, .drain = 1s, .on_error = complain});
        });
        std::vector<coir::fiber<std::string>> clients;
        for (const char* question : {"one", "nonsense", "two", "three"})
            clients.push_back(coir::spawn(ask, where, question));
        int answers = 0;
        for (auto& each : clients)
            answers += !each.join().empty();
        coir::fiber<std::string> last = coir::spawn(ask, where, "the last one");
        coir::this_fiber::sleep_for(5ms); // it is being answered
        stopping.set();
        server.join(); // has waited for the handler
        std::cout << answers << " answers, and " << last.join() << '\n';
        return answers == 3 ? 0 : 1;
    });
} catch (const std::exception& error) {
    std::cerr << "graceful_server: " << error.what() << '\n';
    return 1;
}
