// Deadlines and cancellation of every blocking call, in both forms, and what happens to the bytes.
#include "io/descriptors.hpp"

#include <coir/coir.hpp>

#include <chrono>
#include <functional>
#include <numeric>
#include <optional>
#include <vector>

namespace coir::test {
namespace {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;

// A socket with nothing to read and no room to write, so that every call waits.
struct stuck {
    explicit stuck(bool owned) {
        ends made = make_sockets();
        const std::array<std::byte, 4096> filler{};
        while (::send(made.read.get(), filler.data(), filler.size(), MSG_DONTWAIT) > 0) {}
        number = made.read.get();
        if (owned)
            owner.emplace(made.read.take());
        here = std::move(made.read);
        peer = std::move(made.write);
    }

    int number = -1;
    raw here;
    raw peer;
    std::optional<io::descriptor> owner;
};

struct call {
    const char* name;
    std::function<void(int, deadline)> throwing;
    std::function<void(int, std::error_code&, deadline)> reporting;
};

std::array<std::byte, 100> buffer;
const std::array<io::mutable_buffer, 1> into{{{buffer.data(), buffer.size()}}};
const std::array<io::const_buffer, 1> from{{{buffer.data(), buffer.size()}}};

const std::array<call, 8> calls{{
    {"wait_readable", [](int n, deadline d) { io::wait_readable(n, d); },
     [](int n, std::error_code& e, deadline d) { io::wait_readable(n, e, d); }},
    {"wait_writable", [](int n, deadline d) { io::wait_writable(n, d); },
     [](int n, std::error_code& e, deadline d) { io::wait_writable(n, e, d); }},
    {"read_some", [](int n, deadline d) { io::read_some(n, buffer, d); },
     [](int n, std::error_code& e, deadline d) { io::read_some(n, buffer, e, d); }},
    {"read_all", [](int n, deadline d) { io::read_all(n, buffer, d); },
     [](int n, std::error_code& e, deadline d) { io::read_all(n, buffer, e, d); }},
    {"readv", [](int n, deadline d) { io::readv(n, into, d); },
     [](int n, std::error_code& e, deadline d) { io::readv(n, into, e, d); }},
    {"write_some", [](int n, deadline d) { io::write_some(n, buffer, d); },
     [](int n, std::error_code& e, deadline d) { io::write_some(n, buffer, e, d); }},
    {"write_all", [](int n, deadline d) { io::write_all(n, buffer, d); },
     [](int n, std::error_code& e, deadline d) { io::write_all(n, buffer, e, d); }},
    {"writev", [](int n, deadline d) { io::writev(n, from, d); },
     [](int n, std::error_code& e, deadline d) { io::writev(n, from, e, d); }},
}};

class every_call : public descriptors, public testing::WithParamInterface<bool> {};

TEST_P(every_call, ends_at_its_deadline_and_not_before) {
    coir::run([] {
        for (const call& each : calls) {
            stuck socket{GetParam()};
            auto start = clock::now();
            EXPECT_EQ(thrown_by([&] { each.throwing(socket.number, 2ms); }), std::errc::timed_out) << each.name;
            EXPECT_GE(clock::now() - start, 2ms) << each.name;
            start = clock::now();
            EXPECT_EQ(error_of([&](auto& error) { each.reporting(socket.number, error, 2ms); }), std::errc::timed_out);
            EXPECT_GE(clock::now() - start, 2ms) << each.name;
        }
    });
}

TEST_P(every_call, does_not_wait_for_a_deadline_in_the_past) {
    coir::run([] {
        for (const call& each : calls) {
            stuck socket{GetParam()};
            for (const deadline past : {deadline::passed(), deadline{clock::now() - 1h}, deadline{0s}}) {
                EXPECT_EQ(error_of([&](auto& error) { each.reporting(socket.number, error, past); }),
                          std::errc::timed_out);
            }
        }
    });
}

TEST_P(every_call, takes_what_is_there_whatever_the_deadline) {
    coir::run([] {
        for (const call& each : calls) {
            stuck socket{GetParam()};
            // Twice: the second time it is known to be drained, by a read that was short.
            for (int i = 0; i < 2; ++i) {
                std::vector<std::byte> sink(1 << 20);
                if (i == 1) {
                    ASSERT_EQ(::send(socket.peer.get(), "short", 5, 0), 5);
                    EXPECT_GE(io::read_some(socket.number, sink), 5U);
                }
                ASSERT_EQ(::send(socket.peer.get(), buffer.data(), buffer.size(), 0), std::ssize(buffer));
                while (::recv(socket.peer.get(), sink.data(), sink.size(), MSG_DONTWAIT) > 0) {}
                EXPECT_EQ(error_of([&](auto& error) { each.reporting(socket.number, error, deadline::passed()); }),
                          std::error_code{})
                    << each.name;
            }
        }
    });
}

TEST_P(every_call, is_cancelled_while_it_waits) {
    coir::run([] {
        for (const call& each : calls) {
            stuck socket{GetParam()};
            auto thrower = spawn([&] {
                EXPECT_THROW(each.throwing(socket.number, {}), cancelled) << each.name;
                EXPECT_THROW(each.throwing(socket.number, {}), cancelled) << "sticky";
            });
            auto reporter = spawn([&] {
                EXPECT_EQ(error_of([&](auto& error) { each.reporting(socket.number, error, {}); }),
                          std::errc::operation_canceled);
            });
            this_fiber::sleep_for(100us);
            thrower.cancel();
            reporter.cancel();
            thrower.join();
            reporter.join();
        }
    });
}

// Also when it need not wait: or a fiber whose calls always succeed could never be cancelled.
TEST_P(every_call, is_cancelled_before_it_begins) {
    coir::run([] {
        const ends made = make_sockets();
        ASSERT_EQ(::write(made.write.get(), "x", 1), 1);
        for (const call& each : calls) {
            auto fiber = spawn([&] {
                while (!this_fiber::cancel_requested())
                    this_fiber::sleep_until(deadline::passed());
                EXPECT_THROW(each.throwing(made.read.get(), {}), cancelled) << each.name;
                EXPECT_EQ(error_of([&](auto& error) { each.reporting(made.read.get(), error, {}); }),
                          std::errc::operation_canceled);
            });
            fiber.cancel();
            fiber.join();
        }
        EXPECT_EQ(io::read_some(made.read.get(), buffer, 1s), 1U) << "still there";
    });
}

// A destructor that reads while an exception unwinds: another exception out of it would end the program (hazard A5).
TEST_P(every_call, is_not_cancelled_while_an_exception_unwinds) {
    coir::run([] {
        for (const call& each : calls) {
            stuck socket{GetParam()};
            struct at_end {
                const call& each;
                int number;
                ~at_end() {
                    EXPECT_EQ(error_of([&](auto& error) { each.reporting(number, error, 1ms); }), std::errc::timed_out);
                }
            };
            auto fiber = spawn([&] {
                const at_end last{each, socket.number};
                this_fiber::sleep_for(1h);
            });
            this_fiber::yield();
            fiber.cancel();
            EXPECT_THROW(fiber.join(), cancelled);
        }
    });
}

TEST_F(descriptors, bytes_moved_before_a_failure_are_counted) {
    coir::run([] {
        ends made = make_sockets();
        io::descriptor in{made.read.take()};
        ASSERT_EQ(::write(made.write.get(), "abc", 3), 3);
        try {
            in.read_all(buffer, 1ms);
            ADD_FAILURE();
        } catch (const io::transfer_error& failure) {
            EXPECT_EQ(failure.code(), std::errc::timed_out);
            EXPECT_EQ(failure.bytes_transferred(), 3U);
            EXPECT_EQ(text_of(std::span{buffer}.first(3)), "abc");
            EXPECT_EQ(failure.what(),
                      "io::read_all on descriptor " + std::to_string(in.get()) + ": Connection timed out");
        }
        ASSERT_EQ(::write(made.write.get(), "defg", 4), 4);
        std::error_code error;
        EXPECT_EQ(in.read_all(buffer, error, 1ms), 4U);
        EXPECT_EQ(error, std::errc::timed_out);

        // Cancelled in the middle: says how far it got; and the next call has not got anywhere.
        auto reader = spawn([&] {
            try {
                in.read_all(buffer);
                ADD_FAILURE();
            } catch (const io::transfer_cancelled& failure) {
                EXPECT_EQ(failure.bytes_transferred(), 2U);
            }
            EXPECT_THROW(in.read_all(buffer), cancelled);
        });
        ASSERT_EQ(::write(made.write.get(), "hi", 2), 2);
        this_fiber::sleep_for(1ms);
        reader.cancel();
        reader.join();

        // A writer that gets stuck, and one whose peer goes.
        const std::vector<std::byte> much(10'000'000);
        const std::size_t sent = in.write_all(much, error, 5ms);
        EXPECT_EQ(error, std::errc::timed_out);
        EXPECT_GT(sent, 0U);
        auto writer = spawn([&] {
            std::error_code failed;
            in.write_all(much, failed, 5s);
            return failed;
        });
        this_fiber::sleep_for(1ms);
        std::vector<std::byte> got(sent);
        EXPECT_EQ(io::read_all(made.write.get(), got), sent) << "counted and arrived";
        made.write.reset();
        const auto error_of_writer = writer.join();
        EXPECT_TRUE(error_of_writer == std::errc::broken_pipe || error_of_writer == std::errc::connection_reset);
    });
}

// A call that goes on for long without ever having to wait.
TEST_F(descriptors, deadline_and_cancellation_reach_a_call_that_never_waits) {
    coir::run([] {
        const io::descriptor zero{::open("/dev/zero", O_RDONLY | O_CLOEXEC)};
        const io::descriptor null{::open("/dev/null", O_WRONLY | O_CLOEXEC)};
        // Pieces, so that each window is one system call.
        std::array<std::byte, 1 << 16> block{};
        const std::vector<io::const_buffer> pieces(3'000'000, io::const_buffer{block.data(), 1});
        std::error_code error;
        const std::size_t before = io::writev(null.get(), pieces, error, 1ms);
        EXPECT_EQ(error, std::errc::timed_out);
        EXPECT_GT(before, 0U);
        auto fiber = spawn([&] {
            std::error_code stopped;
            EXPECT_LT(io::writev(null.get(), pieces, stopped), pieces.size());
            EXPECT_EQ(stopped, std::errc::operation_canceled);
        });
        this_fiber::yield();
        fiber.cancel();
        fiber.join();
    });
}

TEST_F(descriptors, outside_a_loop) {
    const ends made = make_pipe();
    for (const call& each : calls) {
        EXPECT_THROW(each.throwing(made.read.get(), {}), std::logic_error) << each.name;
        EXPECT_EQ(error_of([&](auto& error) { each.reporting(made.read.get(), error, {}); }),
                  std::errc::operation_not_permitted);
    }
    EXPECT_THROW(io::descriptor{made.read.get()}, std::logic_error);
    const int copy = ::dup(made.read.get());
    io::close(copy);
    EXPECT_EQ(::fcntl(copy, F_GETFD), -1);
}

INSTANTIATE_TEST_SUITE_P(of, every_call, testing::Bool(),
                         [](const auto& test) { return test.param ? "owned" : "borrowed"; });

} // namespace
} // namespace coir::test
