// Cancelled in the middle of a transfer is cancelled: for scopes, groups, joins, detached fibers.

#include "child_process.hpp"
#include "io/descriptors.hpp"

#include <coir/coir.hpp>

#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace coir::test {
namespace {

using namespace std::chrono_literals;
using net::unix_stream;

/// A stream whose peer reads nothing, and more than it holds.
class stuck : public descriptors {
protected:
    struct connection {
        std::pair<unix_stream, unix_stream> ends = unix_stream::pair();
        void write() { ends.first.write_all(more_than_fits()); }
    };

    static const std::vector<std::byte>& more_than_fits() {
        static const std::vector<std::byte> bytes(8'000'000);
        return bytes;
    }
};

TEST_F(stuck, a_scope_ends_it) {
    coir::run([] {
        connection peer;
        EXPECT_THROW(coir::with_timeout(1ms, [&] { peer.write(); }), timed_out);
        connection other;
        EXPECT_FALSE(coir::try_with_timeout(1ms, [&] { other.write(); }));
        connection third;
        cancel_scope scope{1ms};
        std::size_t written = 0;
        EXPECT_FALSE(scope.run([&] {
            try {
                third.write();
            } catch (const io::transfer_cancelled& cut) {
                written = cut.bytes_transferred();
                throw;
            }
        }));
        EXPECT_GT(written, 0U);
        std::vector<std::byte> arrived(written);
        EXPECT_EQ(third.ends.second.read_all(arrived, 5s), written);
        std::array<std::byte, 1> more{};
        EXPECT_EQ(error_of([&](auto& error) { third.ends.second.read_some(more, error, 1ms); }), std::errc::timed_out);
    });
}

TEST_F(stuck, a_half_read_record_and_a_half_written_pipe_as_well) {
    coir::run([] {
        auto [near, far] = unix_stream::pair();
        near.write_all(bytes_of("abc"));
        std::array<std::byte, 8> record{};
        EXPECT_FALSE(coir::try_with_timeout(1ms, [&, &far = far] { far.read_all(record); }));
        near.write_all(bytes_of("half a line"));
        io::buffered_reader lines{far};
        EXPECT_FALSE(coir::try_with_timeout(1ms, [&] { lines.read_line(); }));
        EXPECT_EQ(text_of(lines.buffered()), "half a line");
        const io::pipe_ends pipe = io::pipe();
        io::buffered_writer buffered{pipe.write};
        EXPECT_FALSE(coir::try_with_timeout(1ms, [&] { buffered.write_all(more_than_fits()); }));
        EXPECT_FALSE(coir::try_with_timeout(1ms, [&] { pipe.write.writev(std::array{io::const_buffer{"abc", 3}}); }));
    });
}

TEST_F(stuck, a_join_throws_it_as_cancelled) {
    coir::run([] {
        connection peer;
        auto writer = spawn([&] { peer.write(); });
        this_fiber::yield();
        writer.cancel();
        EXPECT_THROW(writer.join(), cancelled);
    });
}

TEST_F(stuck, is_no_failure_of_a_group) {
    coir::run([] {
        {
            connection peer;
            task_group group;
            group.spawn([&] { peer.write(); });
            this_fiber::yield();
            group.cancel();
        }
        connection peer;
        EXPECT_FALSE(coir::try_with_timeout(1ms, [&] {
            task_group group;
            group.spawn([&] { peer.write(); });
            group.join();
        }));
        connection other;
        try {
            task_group group;
            group.spawn([&] { other.write(); });
            this_fiber::yield();
            group.spawn([] { throw std::runtime_error("of a sibling"); });
            group.join();
            ADD_FAILURE();
        } catch (const std::runtime_error& failure) {
            EXPECT_STREQ(failure.what(), "of a sibling");
            EXPECT_EQ(exception_group::current().size(), 1U);
        }
    });
}

// What it is cancelled for is a failure: that is what it must hear of.
TEST_F(stuck, the_opener_of_a_failed_group_is_told_of_the_failure) {
    coir::run([] {
        connection peer;
        bool told = false;
        try {
            task_group group;
            group.spawn([] {
                this_fiber::sleep_for(1ms);
                throw std::runtime_error("of a member");
            });
            try {
                peer.write();
            } catch (const std::runtime_error&) {
                told = true;
                throw;
            }
        } catch (const std::runtime_error& failure) {
            EXPECT_STREQ(failure.what(), "of a member");
        }
        EXPECT_TRUE(told);
    });
}

TEST_F(stuck, serve_reports_nobody_while_it_drains) {
    coir::run([] {
        net::tcp_listener listener{"127.0.0.1", 0};
        const net::endpoint where = listener.local_endpoint();
        event stop;
        int reported = 0;
        auto server = spawn([&] {
            net::serve(listener, [](net::tcp_stream peer) { peer.write_all(more_than_fits()); },
                       {.stop = &stop, .drain = 1ms, .on_error = [&](const std::exception_ptr&, std::string_view) {
                            ++reported;
                        }});
        });
        const net::tcp_stream client{where, 5s};
        io::wait_readable(client.native_handle(), 5s);
        stop.set();
        server.join();
        EXPECT_EQ(reported, 0);
    });
}

TEST_F(stuck, a_detached_fiber_ends_in_silence_with_run) {
    const auto end = ::in_child([] {
        coir::run([] {
            const auto peer = std::make_shared<connection>();
            spawn([peer] { peer->write(); }).detach();
            this_fiber::yield();
        });
        return true;
    });
    EXPECT_TRUE(end.exited_well()) << end.errors;
    EXPECT_EQ(end.errors, "");
}

} // namespace
} // namespace coir::test
