#include "io/descriptors.hpp"
#include "net/tcp_pair.hpp"

#include <coir/coir.hpp>

#include <chrono>
#include <optional>
#include <random>
#include <string>
#include <vector>

/// A peer that resets the connection, at every moment there is.
namespace coir::test {
namespace {

using namespace std::chrono_literals;
using net::endpoint;
using net::tcp_listener;
using net::tcp_stream;

using reset = descriptors;

void reset_by(tcp_stream& peer) {
    peer.set_linger(0s);
    peer.close();
}

TEST_F(reset, while_reading) {
    coir::run([] {
        tcp_pair made = connect_tcp();
        auto some = spawn([&] {
            std::array<std::byte, 4> buffer{};
            made.near.read_all(buffer, 20s);
        });
        made.far.write_all(bytes_of("ab"), 5s);
        this_fiber::sleep_for(1ms);
        const std::string peer = made.near.remote_endpoint().to_string();
        reset_by(made.far);
        try {
            some.join();
            ADD_FAILURE();
        } catch (const io::transfer_error& failure) {
            EXPECT_EQ(failure.code(), std::errc::connection_reset);
            EXPECT_EQ(failure.what(), "io::read_all with " + peer + ": Connection reset by peer");
            EXPECT_EQ(failure.bytes_transferred(), 2U);
        }
        EXPECT_EQ(made.near.remote_endpoint().to_string(), peer); // known still
        // It is told to everybody, and again.
        std::array<std::byte, 1> byte{};
        EXPECT_EQ(thrown_by([&] { made.near.read_some(byte, 5s); }), std::errc::connection_reset);
        EXPECT_EQ(thrown_by([&] { made.near.write_some(byte, 5s); }), std::errc::connection_reset);
    });
}

TEST_F(reset, is_told_by_everything_that_reads_or_writes_naming_the_peer) {
    coir::run([] {
        for (const char* self : {"127.0.0.1", "::1"}) {
            tcp_listener listener{self, 0};
            tcp_stream near{listener.local_endpoint(), 5s};
            tcp_stream far = listener.accept(5s);
            const std::string peer = near.remote_endpoint().to_string();
            reset_by(far);
            EXPECT_EQ(message_of([&] { io::buffered_reader{near}.read_line(5s); }),
                      "io::buffered_reader::read_line with " + peer + ": Connection reset by peer");
            EXPECT_EQ(message_of([&] {
                          io::buffered_writer out{near};
                          out.write_all(bytes_of("a"), 5s);
                          out.flush(5s);
                      }),
                      "io::buffered_writer::flush with " + peer + ": Connection reset by peer");
            EXPECT_EQ(message_of([&] { io::copy(near, near, io::no_limit, 5s); }),
                      "io::copy from " + peer + " to " + peer + ": Connection reset by peer");
        }
    });
}

// The kernel tells it once, and then there is the end: that must not look like all there was.
TEST_F(reset, is_told_by_each_copy_and_by_whoever_reads_after_it) {
    coir::run([] {
        tcp_pair made = connect_tcp();
        tcp_pair onward = connect_tcp();
        reset_by(made.far);
        for (int i = 0; i < 2; ++i)
            EXPECT_EQ(error_of([&](auto& error) { io::copy(made.near, onward.near, io::no_limit, error, 5s); }),
                      std::errc::connection_reset);
        std::array<std::byte, 1> byte{};
        EXPECT_EQ(thrown_by([&] { made.near.read_some(byte, 5s); }), std::errc::connection_reset);
    });
}

TEST_F(reset, is_told_by_each_splice) {
    coir::run([] {
        tcp_pair made = connect_tcp();
        io::pipe_ends pipe = io::pipe();
        reset_by(made.far);
        for (int i = 0; i < 2; ++i)
            EXPECT_EQ(
                error_of([&](auto& error) { io::splice(made.near.native_handle(), pipe.write.get(), 9, error, 5s); }),
                std::errc::connection_reset);
        made = connect_tcp();
        reset_by(made.far);
        pipe.write.write_all(bytes_of("abc"), 5s);
        for (int i = 0; i < 2; ++i)
            EXPECT_EQ(
                error_of([&](auto& error) { io::splice(pipe.read.get(), made.near.native_handle(), 3, error, 5s); }),
                std::errc::connection_reset);
    });
}

// The next connection with its number comes to an ordinary end.
TEST_F(reset, is_nothing_to_the_next_of_the_same_number) {
    coir::run([] {
        for (const bool owned : {false, true}) {
            tcp_pair made = connect_tcp();
            const int number = made.near.native_handle();
            if (!owned)
                static_cast<void>(made.near.release().release());
            reset_by(made.far);
            std::array<std::byte, 1> byte{};
            EXPECT_EQ(thrown_by([&] { io::read_some(number, byte, 5s); }), std::errc::connection_reset);
            ends next = make_sockets();
            owned ? made.near.close() : static_cast<void>(::close(number)); // as others close it
            raw again{::dup2(next.read.get(), number)};
            std::optional<io::descriptor> owner;
            if (owned)
                owner.emplace(again.take());
            next.write.reset();
            EXPECT_EQ(io::read_some(number, byte, 5s), 0U);
        }
    });
}

TEST_F(reset, while_writing) {
    coir::run([] {
        tcp_pair made = connect_tcp();
        const std::vector<std::byte> much(std::size_t{16} << 20);
        auto writer = spawn([&] { made.near.write_all(much, 20s); });
        this_fiber::sleep_for(1ms);
        reset_by(made.far);
        try {
            writer.join();
            ADD_FAILURE();
        } catch (const io::transfer_error& failure) {
            EXPECT_EQ(failure.code(), std::errc::connection_reset);
            EXPECT_LT(failure.bytes_transferred(), much.size());
        }
    });
}

TEST_F(reset, while_both_directions_wait) {
    coir::run([] {
        tcp_pair made = connect_tcp();
        const std::vector<std::byte> much(std::size_t{16} << 20);
        auto writer = spawn([&] { return error_of([&](auto& error) { made.near.write_all(much, error, 20s); }); });
        auto reader = spawn([&] {
            std::array<std::byte, 1> byte{};
            return error_of([&](auto& error) { made.near.read_some(byte, error, 20s); });
        });
        this_fiber::sleep_for(1ms);
        reset_by(made.far);
        EXPECT_EQ(writer.join(), std::errc::connection_reset);
        EXPECT_EQ(reader.join(), std::errc::connection_reset);
    });
}

TEST_F(reset, before_and_right_after_accepting) {
    coir::run([] {
        tcp_listener listener{"127.0.0.1", 0};
        endpoint client;
        {
            tcp_stream queued{listener.local_endpoint(), 5s};
            client = queued.local_endpoint();
            reset_by(queued);
        }
        // The connection is delivered dead, or skipped: both are no error of the listener.
        std::error_code error;
        if (tcp_stream dead = listener.accept(error, 20ms)) {
            EXPECT_EQ(dead.remote_endpoint(), client);
            std::array<std::byte, 1> byte{};
            EXPECT_EQ(thrown_by([&] { dead.read_some(byte, 5s); }), std::errc::connection_reset);
        }
        tcp_stream alive{listener.local_endpoint(), 5s};
        EXPECT_TRUE(listener.accept(5s));
    });
}

// Hundreds of connections that are reset at random moments, under a server that reads and writes.
TEST_F(reset, at_random) {
    coir::run([] {
        tcp_listener listener{"127.0.0.1", 0};
        event stop;
        std::size_t served = 0;
        auto server = spawn([&] {
            net::serve(listener,
                       [&](tcp_stream peer) {
                           ++served;
                           std::array<std::byte, 512> buffer{};
                           std::error_code error;
                           while (const std::size_t size = peer.read_some(buffer, error, 20s))
                               peer.write_all(std::span{buffer}.first(size), error, 20s);
                       },
                       {.stop = &stop});
        });
        std::minstd_rand random{42};
        std::vector<fiber<void>> clients;
        for (int i = 0; i < 200; ++i)
            clients.push_back(spawn([&, rounds = random() % 4] {
                tcp_stream stream{listener.local_endpoint(), 20s};
                std::array<std::byte, 512> buffer{};
                for (unsigned round = 0; round < rounds; ++round) {
                    stream.write_all(buffer, 20s);
                    stream.read_some(buffer, 20s);
                }
                stream.write_all(buffer, 20s);
                reset_by(stream);
            }));
        for (auto& each : clients)
            each.join();
        tcp_stream last{listener.local_endpoint(), 5s};
        last.write_all(bytes_of("still there"), 5s);
        std::array<std::byte, 11> answer{};
        EXPECT_EQ(last.read_all(answer, 5s), answer.size());
        last.close();
        stop.set();
        server.join();
        EXPECT_EQ(served, 201U);
    });
}

} // namespace
} // namespace coir::test
