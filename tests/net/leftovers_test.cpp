// Memory and descriptors, before = after: what can go wrong with IO goes wrong again and again, and nothing adds up. A sanitizer
// sees what nobody refers to any more; this sees what somebody keeps.

#include "net/leftovers.hpp"
#include "net/tcp_pair.hpp"
#include "scratch_folder.hpp"

#include <coir/coir.hpp>

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <exception>
#include <stdexcept>
#include <string_view>
#include <utility>
#include <vector>

namespace coir::test {
namespace {

using namespace std::chrono_literals;

TEST_F(leftovers, of_connections_that_are_reset_in_the_middle) {
    expect_none_of([] {
        task_group clients;
        for (int i = 0; i < 10; ++i)
            clients.spawn([i] {
                tcp_pair made = connect_tcp();
                auto reader = spawn([&] {
                    std::vector<std::byte> buffer(4096);
                    thrown_by([&] { made.near.read_all(buffer, 20s); });
                });
                auto writer = spawn([&] {
                    const std::vector<std::byte> much(1 << 20);
                    thrown_by([&] { made.near.write_all(much, 20s); });
                });
                made.far.write_all(bytes_of("half"), 5s);
                this_fiber::sleep_for(std::chrono::microseconds{100 * i});
                made.far.set_linger(0s);
                made.far.close();
                reader.join();
                writer.join();
            });
        clients.join();
    });
}

TEST_F(leftovers, of_deadlines_and_cancellation) {
    expect_none_of([] {
        net::tcp_listener listener{"127.0.0.1", 0};
        EXPECT_EQ(thrown_by([&] { listener.accept(1ms); }), std::errc::timed_out);
        tcp_pair made = connect_tcp();
        std::array<std::byte, 16> buffer{};
        std::vector<fiber<void>> waiting;
        for (int i = 0; i < 20; ++i)
            waiting.push_back(spawn([&] { made.near.read_some(buffer); }));
        EXPECT_EQ(thrown_by([&] { made.near.read_some(buffer, 1ms); }), std::errc::timed_out);
        waiting.resize(10);
        for (fiber<void>& each : waiting)
            each.cancel();
    });
}

TEST_F(leftovers, of_servers_whose_handlers_fail) {
    expect_none_of([] {
        event stop;
        net::tcp_listener listener{"127.0.0.1", 0};
        const net::endpoint server = listener.local_endpoint();
        net::serve_options options{.max_connections = 4, .stop = &stop, .drain = 0s};
        options.on_error = [](std::exception_ptr, std::string_view) {};
        auto serving = spawn([&] {
            net::serve(
                listener,
                [](net::tcp_stream peer) {
                    std::array<std::byte, 1> byte{};
                    peer.read_all(byte, 20s);
                    throw std::runtime_error{"a handler"};
                },
                options);
        });
        task_group clients;
        for (int i = 0; i < 10; ++i)
            clients.spawn([&] {
                net::tcp_stream client{server, 20s};
                client.write_all(bytes_of("x"), 20s);
                std::array<std::byte, 1> byte{};
                thrown_by([&] { client.read_some(byte, 20s); });
            });
        clients.join();
        stop.set();
        serving.join();
    });
}

TEST_F(leftovers, of_programs_and_files) {
    const scratch_folder folder;
    expect_none_of([&] {
        io::process killed{{"sleep", "1000"}, {.input = io::redirect::pipe(), .output = io::redirect::pipe()}};
        EXPECT_TRUE(io::process{{"true"}}.wait(20s).success());
        thrown_by([] { io::process{{"/there/is/no/such/program"}}; });
        const auto path = folder.path() / "file";
        io::write_file(path, bytes_of("text"));
        io::file file{path};
        EXPECT_EQ(file.size(), 4U);
        file.sync();
        thrown_by([&] { io::file{folder.path() / "none"}; });
        EXPECT_EQ(io::list_directory(folder.path()).size(), 1U);
    });
}

} // namespace
} // namespace coir::test
