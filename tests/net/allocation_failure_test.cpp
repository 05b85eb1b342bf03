// No memory, or no watches of epoll, for connections: those fail, and what serves the others goes on.
#include "child_process.hpp"
#include "failing_memory.hpp"
#include "io/descriptors.hpp"
#include "net/resolver_fixture.hpp"
#include "refused_guards.hpp"
#include "stack/guard.hpp"

#include <coir/coir.hpp>

#include <chrono>
#include <exception>
#include <new>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
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

// What on_error throws, be it once, ends serve(), also if it looks like a shortage of descriptors.
TEST_F(without_memory, serve_ends_by_what_on_error_throws) {
    coir::run([] {
        net::tcp_listener listener{"127.0.0.1", 0};
        const net::endpoint where = listener.local_endpoint();
        for (const bool plainly : {true, false}) {
            bool has_thrown = false;
            auto server = spawn([&] {
                net::tcp_listener served = plainly ? std::move(listener) : net::tcp_listener{where};
                net::serve(served, [](const net::tcp_stream&) { throw 1; },
                           {.on_error = [&](const std::exception_ptr&, std::string_view) {
                               if (std::exchange(has_thrown, true))
                                   return;
                               if (plainly)
                                   throw std::bad_alloc{};
                               throw std::system_error(std::make_error_code(std::errc::too_many_files_open));
                           }});
            });
            this_fiber::yield();
            this_fiber::yield();
            const net::tcp_stream client{where, 20s};
            server.wait(20s);
            if (plainly)
                EXPECT_THROW(server.join(deadline::passed()), std::bad_alloc);
            else
                EXPECT_EQ(thrown_by([&] { server.join(deadline::passed()); }), std::errc::too_many_files_open);
        }
    });
}

TEST_F(without_memory, serve_closes_a_connection_for_whose_fiber_there_is_no_stack) {
    const child_end end = ::in_child([] {
        if (detail::available_guard() == detail::guard_kind::protection)
            return true; // stacks that are promised have their guards
        return coir::run([] {
            net::tcp_listener listener{"127.0.0.1", 0};
            const net::endpoint where = listener.local_endpoint();
            event stop;
            int handled = 0;
            std::string failures;
            auto server = spawn([&] {
                net::serve(listener,
                           [&](net::tcp_stream peer) {
                               ++handled;
                               std::array<std::byte, 1> byte{};
                               peer.read_all(byte, 20s);
                           },
                           {.stop = &stop, .on_error = [&](const std::exception_ptr& failure, std::string_view) {
                                failures += message_of([&] { std::rethrow_exception(failure); }) + '\n';
                            }});
            });
            net::tcp_stream first{where, 20s};
            while (handled == 0)
                this_fiber::yield();
            refuse_guards();
            std::array<std::byte, 1> byte{};
            for (int i = 0; i < 3; ++i) {
                net::tcp_stream refused{where, 20s};
                std::error_code closed;
                if (refused.read_all(byte, closed, 20s) != 0)
                    return false;
            }
            if (server.wait(deadline::passed()) || handled != 1)
                return false;
            stop.set();
            first.shutdown_write();
            server.join();
            return failures.starts_with("no stack for a connection, which is closed: Cannot allocate memory\n");
        });
    });
    EXPECT_TRUE(end.exited_well()) << end.status << end.errors;
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
