#include "io/descriptors.hpp"
#include "net/black_hole.hpp"
#include "net/tcp_pair.hpp"

#include <coir/coir.hpp>

#include <chrono>
#include <cstdlib>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <random>
#include <string>
#include <vector>

namespace coir::test {
namespace {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;
using net::endpoint;
using net::tcp_listener;
using net::tcp_stream;

using tcp = descriptors;

// An endpoint where nobody listens.
endpoint nobody() {
    return tcp_listener{"127.0.0.1", 0}.local_endpoint();
}

// Closing sends a reset.
void reset_on_close(const tcp_stream& stream) {
    const linger at_once{1, 0};
    ASSERT_EQ(::setsockopt(stream.native_handle(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
}

TEST_F(tcp, connects_and_knows_both_ends) {
    coir::run([] {
        for (const char* address : {"127.0.0.1", "::1"}) {
            tcp_pair made;
            try {
                made = connect_tcp(address);
            } catch (const std::system_error& failure) {
                ASSERT_EQ(std::string{address}, "::1") << failure.what();
                continue; // a machine without IPv6
            }
            EXPECT_EQ(made.near.local_endpoint(), made.far.remote_endpoint());
            EXPECT_EQ(made.near.remote_endpoint(), made.far.local_endpoint());
            EXPECT_EQ(made.near.local_endpoint().address(), address);
            made.near.write_all(bytes_of("question"));
            std::array<std::byte, 8> buffer{};
            EXPECT_EQ(made.far.read_all(buffer, 5s), 8U);
            made.far.write_all(bytes_of("answer"));
            EXPECT_EQ(made.near.read_some(buffer, 5s), 6U);
            for (const tcp_stream* each : {&made.near, &made.far}) {
                int on = 0;
                socklen_t size = sizeof on;
                ::getsockopt(each->native_handle(), IPPROTO_TCP, TCP_NODELAY, &on, &size);
                EXPECT_NE(on, 0);
                EXPECT_NE(::fcntl(each->native_handle(), F_GETFD) & FD_CLOEXEC, 0);
                EXPECT_NE(::fcntl(each->native_handle(), F_GETFL) & O_NONBLOCK, 0);
            }
        }
    });
}

TEST_F(tcp, no_connection) {
    coir::run([] {
        std::array<std::byte, 8> buffer{};
        tcp_stream none;
        EXPECT_FALSE(none);
        EXPECT_EQ(thrown_by([&] { none.read_some(buffer); }), std::errc::bad_file_descriptor);
        EXPECT_EQ(thrown_by([&] { none.write_some(buffer); }), std::errc::bad_file_descriptor);
        EXPECT_EQ(thrown_by([&] { none.shutdown_write(); }), std::errc::bad_file_descriptor);
        EXPECT_EQ(thrown_by([&] { static_cast<void>(none.local_endpoint()); }), std::errc::bad_file_descriptor);
        none.close();
    });
    std::error_code error;
    const tcp_stream outside{endpoint{"127.0.0.1", 1}, error};
    EXPECT_EQ(error, std::errc::operation_not_permitted);
    EXPECT_THROW(tcp_stream(endpoint{"127.0.0.1", 1}), std::logic_error);
}

TEST_F(tcp, refused_connection_names_the_endpoint) {
    coir::run([] {
        const endpoint remote = nobody();
        try {
            const tcp_stream none{remote, 5s};
            ADD_FAILURE();
        } catch (const std::system_error& failure) {
            EXPECT_EQ(failure.code(), std::errc::connection_refused);
            EXPECT_EQ(failure.what(), "connect to " + remote.to_string() + ": Connection refused");
        }
        std::error_code error;
        const tcp_stream none{remote, error, 5s};
        EXPECT_EQ(error, std::errc::connection_refused);
        EXPECT_FALSE(none);
    });
}

TEST_F(tcp, unreachable_address) {
    coir::run([] {
        std::error_code error;
        const tcp_stream none{endpoint{"255.255.255.255", 80}, error, 5s};
        EXPECT_TRUE(error);
        EXPECT_NE(error, std::errc::timed_out);
        EXPECT_FALSE(none);
    });
}

TEST_F(tcp, connecting_ends_at_its_deadline) {
    coir::run([] {
        const black_hole hole;
        if (!hole.swallows())
            GTEST_SKIP() << "this kernel answers all the same";
        const auto start = clock::now();
        EXPECT_EQ(thrown_by([&] { tcp_stream(hole.where(), 10ms); }), std::errc::timed_out);
        EXPECT_GE(clock::now() - start, 10ms);
        std::error_code error;
        EXPECT_FALSE(tcp_stream(hole.where(), error, deadline::passed()));
        EXPECT_EQ(error, std::errc::timed_out);
    });
}

TEST_F(tcp, connecting_is_cancelled) {
    coir::run([] {
        const black_hole hole;
        if (!hole.swallows())
            GTEST_SKIP() << "this kernel answers all the same";
        auto thrower = spawn([&] { const tcp_stream none{hole.where()}; });
        auto reporter = spawn([&] {
            std::error_code error;
            const tcp_stream none{hole.where(), error};
            EXPECT_FALSE(none);
            return error;
        });
        auto early = spawn([&] { const tcp_stream none{hole.where()}; });
        early.cancel();
        this_fiber::sleep_for(1ms);
        thrower.cancel();
        reporter.cancel();
        EXPECT_THROW(thrower.join(), cancelled);
        EXPECT_THROW(early.join(), cancelled);
        EXPECT_EQ(reporter.join(), std::errc::operation_canceled);
    });
}

TEST_F(tcp, ending_one_side_leaves_the_other_open) {
    coir::run([] {
        tcp_pair made = connect_tcp();
        const std::vector<std::byte> much(1'000'000, std::byte{3});
        auto sender = spawn([&] {
            made.near.write_all(much);
            made.near.shutdown_write();
            EXPECT_EQ(thrown_by([&] { made.near.write_some(much); }), std::errc::broken_pipe);
            std::vector<std::byte> back(much.size() + 1);
            EXPECT_EQ(made.near.read_all(back, 10s), much.size()) << "still readable";
        });
        std::vector<std::byte> got(much.size() + 1);
        EXPECT_EQ(made.far.read_all(got, 10s), much.size()) << "all, then the end";
        EXPECT_EQ(made.far.read_some(got, 10s), 0U);
        made.far.write_all(much, 10s);
        made.far.shutdown_write();
        sender.join();
    });
}

// The kernel tells the first who asks; the other would read an ordinary end (hazard F3).
TEST_F(tcp, reset_reaches_reader_and_writer) {
    coir::run([] {
        for (const bool reader_first : {true, false}) {
            tcp_pair made = connect_tcp();
            const std::vector<std::byte> much(20'000'000);
            std::array<std::byte, 8> buffer{};
            fiber<std::error_code> reader;
            fiber<std::error_code> writer;
            const auto start_reader = [&] {
                reader = spawn([&] { return error_of([&](auto& e) { made.near.read_some(buffer, e, 5s); }); });
                this_fiber::yield();
            };
            if (reader_first)
                start_reader();
            writer = spawn([&] { return error_of([&](auto& e) { made.near.write_all(much, e, 5s); }); });
            if (!reader_first)
                start_reader();
            this_fiber::sleep_for(5ms);
            reset_on_close(made.far);
            made.far.close();
            EXPECT_EQ(reader.join(), std::errc::connection_reset);
            EXPECT_EQ(writer.join(), std::errc::connection_reset);
            EXPECT_EQ(thrown_by([&] { made.near.read_some(buffer); }), std::errc::connection_reset) << "and stays so";
            EXPECT_EQ(thrown_by([&] { made.near.write_some(buffer); }), std::errc::connection_reset);
        }
    });
}

TEST_F(tcp, every_byte_arrives_in_order_through_small_buffers) {
    coir::run([] {
        tcp_pair made = connect_tcp();
        const int one = 1;
        ::setsockopt(made.near.native_handle(), SOL_SOCKET, SO_SNDBUF, &one, sizeof one);
        const auto byte_at = [](std::size_t position) {
            return static_cast<std::byte>(position * 31 + position / 251);
        };
        constexpr std::size_t total = 400'000;
        auto sender = spawn([&] {
            std::mt19937 random{1};
            for (std::size_t done = 0; done < total;) {
                std::vector<std::byte> block(std::min<std::size_t>(1 + random() % 9'000, total - done));
                for (std::byte& byte : block)
                    byte = byte_at(done++);
                made.near.write_all(block);
            }
            made.near.close();
        });
        std::mt19937 random{2};
        std::size_t done = 0;
        std::vector<std::byte> buffer(5'000);
        while (const std::size_t n = made.far.read_some(std::span{buffer}.first(1 + random() % buffer.size())))
            for (std::size_t i = 0; i < n; ++i)
                ASSERT_EQ(buffer[i], byte_at(done++)) << done;
        EXPECT_EQ(done, total);
        sender.join();
    });
}

TEST_F(tcp, closing_wakes_who_waits) {
    coir::run([] {
        tcp_pair made = connect_tcp();
        std::array<std::byte, 8> buffer{};
        auto reader = spawn([&] { return error_of([&](auto& error) { made.near.read_some(buffer, error); }); });
        this_fiber::sleep_for(100us);
        made.near.close();
        EXPECT_EQ(reader.join(), std::errc::bad_file_descriptor);
        EXPECT_EQ(made.far.read_some(buffer, 5s), 0U);
    });
}

} // namespace
} // namespace coir::test
