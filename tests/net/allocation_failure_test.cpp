// No memory, or no watches of epoll, for connections: those fail, and what serves the others goes on.
#include "failing_memory.hpp"
#include "io/descriptors.hpp"
#include "net/resolver_fixture.hpp"

#include <coir/coir.hpp>

#include <chrono>
#include <stdexcept>
#include <string>
#include <vector>

namespace coir::test {
namespace {

using namespace std::chrono_literals;
using without_memory = descriptors;

// With memory for no block, for one, two, … from the moment in which a client has asked.
TEST_F(without_memory, serve_goes_on) {
    coir::run([] {
        net::tcp_listener listener{"::1", 0}; // whose addresses are longer than what a std::string keeps in itself
        const net::endpoint where = listener.local_endpoint();
        event stop;
        auto server = spawn([&] {
            net::serve(listener,
                       [](net::tcp_stream peer) {
                           std::array<std::byte, 5> question{};
                           peer.read_all(question, 20s);
                           peer.write_all(question, 20s);
                           throw std::runtime_error("a message that is longer than what a std::string keeps in itself");
                       },
                       {.stop = &stop});
        });
        const auto ask = [&] {
            net::tcp_stream client{where, 20s};
            std::array<std::byte, 5> answer{};
            client.write_all(bytes_of("hello"), 20s);
            std::error_code closed; // when there was no memory for it
            return client.read_all(answer, closed, 20s) == answer.size();
        };
        EXPECT_TRUE(ask());
        for (long blocks = 0; blocks < 20 && !server.wait(deadline::passed()); ++blocks) {
            const memory_limit limit{blocks};
            static_cast<void>(error_of([&](auto& error) {
                try {
                    ask();
                } catch (const std::bad_alloc&) {
                    error = std::make_error_code(std::errc::not_enough_memory);
                }
            }));
            for (int i = 0; i < 5; ++i)
                this_fiber::yield();
        }
        EXPECT_FALSE(server.wait(deadline::passed()));
        EXPECT_TRUE(ask());
        stop.set();
        server.join();
    });
}

// The fixture counts descriptors.
TEST_F(without_memory, a_lookup_fails_and_leaves_nothing_behind) {
    const dns::server server{numbered};
    const resolver_options options = only(server);
    const long calls = with_less_and_less_memory([&] {
        coir::run([&] {
            resolver names{options};
            std::error_code error;
            const std::vector<endpoint> found = names.resolve("n1.example", 80, error, {}, 20s);
            EXPECT_TRUE(found.size() == 1 || memory_limit::is_reached()) << error.message();
            EXPECT_TRUE(!error || memory_limit::is_reached()) << error.message();
        });
    });
    EXPECT_GT(calls, 20);
}

} // namespace
} // namespace coir::test
