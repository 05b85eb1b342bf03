// What the protocol of the descriptor table promises: system calls that are not made, wake-ups that are not lost.
#include "io/descriptor_table.hpp"

#include "io/descriptors.hpp"
#include "io/ev_driver.hpp"

#include <coir/coir.hpp>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <ctime>
#include <fcntl.h>
#include <mqueue.h>
#include <optional>
#include <string>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <vector>

namespace {

// Counts the calls that libev and coir make: a function in the program comes before the C library's.
std::atomic<int> epolls;
std::atomic<int> registrations;
std::atomic<int> polls;
std::atomic<int> transfers;

} // namespace

// NOLINTBEGIN(readability-inconsistent-declaration-parameter-name)
extern "C" int epoll_create1(int flags) noexcept {
    ++epolls;
    return static_cast<int>(::syscall(SYS_epoll_create1, flags));
}

extern "C" int epoll_ctl(int epoll, int operation, int number, epoll_event* event) noexcept {
    ++registrations;
    return static_cast<int>(::syscall(SYS_epoll_ctl, epoll, operation, number, event));
}

extern "C" int epoll_wait(int epoll, epoll_event* events, int size, int timeout) {
    ++polls;
    return static_cast<int>(::syscall(SYS_epoll_pwait, epoll, events, size, timeout, nullptr, 8));
}

extern "C" ssize_t recv(int number, void* data, size_t size, int flags) {
    ++transfers;
    return ::syscall(SYS_recvfrom, number, data, size, flags, nullptr, nullptr);
}

extern "C" ssize_t send(int number, const void* data, size_t size, int flags) {
    ++transfers;
    return ::syscall(SYS_sendto, number, data, size, flags, nullptr, 0);
}
// NOLINTEND(readability-inconsistent-declaration-parameter-name)

namespace coir::test {
namespace {

using namespace std::chrono_literals;
using detail::loop;
using detail::wake_reason;

class table : public descriptors {
protected:
    void SetUp() override {
        descriptors::SetUp();
        epolls = registrations = polls = transfers = 0;
    }
};

std::array<std::byte, 16> buffer;

// One read and one write for a request, and the registration stays (hazard E12).
TEST_F(table, echo_needs_two_transfers_and_no_registration) {
    constexpr int rounds = 2'000;
    coir::run([] {
        ends made = make_sockets();
        io::descriptor server{made.read.take()};
        io::descriptor client{made.write.take()};
        auto echo = spawn([&] {
            std::array<std::byte, 64> request{};
            while (const std::size_t n = server.read_some(request))
                server.write_all(std::span{request}.first(n));
        });
        for (int i = 0; i < rounds; ++i) {
            client.write_all(buffer);
            client.read_some(std::as_writable_bytes(std::span{buffer}));
            // Asked for 16, got 16: there may be more, so each read of the client but the first finds nothing first.
        }
        EXPECT_GE(registrations, 2);
        EXPECT_LE(registrations, 10);
        EXPECT_GE(transfers, rounds * 4);
        EXPECT_LE(transfers, rounds * 5 + 10);
        client.close();
        echo.join();
    });
}

// The same with deadlines: a timer for each wait, but no system call for it.
TEST_F(table, moving_deadlines_cost_no_system_call) {
    coir::run([] {
        ends made = make_sockets();
        io::descriptor server{made.read.take()};
        io::descriptor client{made.write.take()};
        auto echo = spawn([&] {
            std::array<std::byte, 64> request{};
            while (const std::size_t n = server.read_some(request, 10s))
                server.write_all(std::span{request}.first(n), 10s);
        });
        std::array<std::byte, 64> answer{};
        for (int i = 0; i < 1'000; ++i) {
            client.write_all(buffer, 10s);
            client.read_some(answer, 10s);
        }
        EXPECT_LE(registrations, 10);
        EXPECT_LE(transfers, 4 * 1'000 + 10) << "a short read is followed by no read that fails";
        client.close();
        echo.join();
    });
}

// A writer that waits often: armed and disarmed between two polls, libev does not go to epoll.
TEST_F(table, writing_much_registers_once_for_each_start_and_end) {
    coir::run([] {
        ends made = make_sockets();
        io::descriptor out{made.read.take()};
        io::descriptor in{made.write.take()};
        std::vector<std::byte> much(5'000'000);
        auto writer = spawn([&] { out.write_all(much); });
        std::vector<std::byte> got(much.size());
        in.read_all(got);
        writer.join();
        EXPECT_GT(polls, 10);
        EXPECT_LT(registrations, polls / 2 + 10);
    });
}

TEST_F(table, data_that_nobody_reads_costs_nothing) {
    coir::run([] {
        std::vector<io::descriptor> idle;
        std::vector<raw> peers;
        for (int i = 0; i < 100; ++i) {
            ends made = make_sockets();
            idle.emplace_back(made.read.take());
            EXPECT_EQ(::write(made.write.get(), "xy", 2), 2);
            // So that it stays registered.
            idle.back().read_some(std::span{buffer}.first(1));
            EXPECT_EQ(error_of([&](auto& error) { idle.back().read_all(std::span{buffer}, error, 1us); }),
                      std::errc::timed_out);
            EXPECT_EQ(::write(made.write.get(), "z", 1), 1);
            peers.push_back(std::move(made.write));
        }
        this_fiber::sleep_for(1ms);
        polls = 0;
        const std::clock_t before = std::clock();
        this_fiber::sleep_for(100ms);
        EXPECT_LE(polls, 5);
        EXPECT_LT(std::clock() - before, CLOCKS_PER_SEC / 20);
        for (const io::descriptor& each : idle)
            EXPECT_EQ(io::read_some(each.get(), buffer, 1s), 1U) << "and it is still there";
    });
}

/// A fiber that waits for a descriptor.
class parked_reader {
public:
    explicit parked_reader(int number) : fiber_(spawn([this, number] { read(number); })) {
        this_fiber::sleep_for(100us);
        record_ = self_->waiting;
    }

    void cancel() { fiber_.cancel(); }
    /// As when its deadline passes.
    void time_out() { loop::current()->wake(*record_, wake_reason::timed_out); }
    void join() { fiber_.join(); }

    int ends_of_wait = 0;
    std::size_t got = 0;
    std::error_code error;

private:
    void read(int number) {
        self_ = &loop::current()->running();
        got = io::read_some(number, buffer, error, 1h);
        ++ends_of_wait;
    }

    detail::fiber_base* self_ = nullptr;
    detail::wait_record* record_ = nullptr;
    fiber<void> fiber_;
};

void look_for_events() {
    loop::current()->driver().run_once(detail::without_waiting);
}

std::size_t read_what_is_there(int number) {
    std::error_code error;
    return io::read_some(number, buffer, error, deadline::passed());
}

// Ready, timed out and cancelled before the fiber runs, in every order (hazard F7). The first claims; data that came in time
// is delivered unless it was cancelled, and else stays where it is.
TEST_F(table, three_wake_ups_in_every_order) {
    std::string order = "crt"; // cancelled, ready, timed out
    do {
        for (const bool owned : {false, true})
            coir::run([&] {
                ends made = make_sockets();
                const int number = made.read.get();
                std::optional<io::descriptor> owner;
                if (owned)
                    owner.emplace(made.read.take());
                parked_reader reader{number};
                for (const char event : order) {
                    if (event == 'c')
                        reader.cancel();
                    else if (event == 't')
                        reader.time_out();
                    else {
                        ASSERT_EQ(::write(made.write.get(), "x", 1), 1);
                        look_for_events();
                    }
                }
                reader.join();
                EXPECT_EQ(reader.ends_of_wait, 1);
                EXPECT_EQ(reader.error,
                          order[0] == 'c' ? make_error_code(std::errc::operation_canceled) : std::error_code{})
                    << order;
                EXPECT_EQ(read_what_is_there(number), order[0] == 'c' ? 1U : 0U) << order;
            });
    } while (std::next_permutation(order.begin(), order.end()));
}

// As above with a second reader behind: what the first does not take, the second gets.
TEST_F(table, what_a_claimed_waiter_leaves_the_next_gets) {
    std::string order = "crt";
    do {
        coir::run([&] {
            ends made = make_sockets();
            const int number = made.read.get();
            parked_reader first{number};
            parked_reader second{number};
            for (const char event : order) {
                if (event == 'c')
                    first.cancel();
                else if (event == 't')
                    first.time_out();
                else {
                    ASSERT_EQ(::write(made.write.get(), "x", 1), 1);
                    look_for_events();
                }
            }
            first.join();
            ASSERT_EQ(::write(made.write.get(), "y", 1), 1);
            second.join();
            EXPECT_EQ(first.got + second.got + read_what_is_there(number), 2U) << order;
        });
    } while (std::next_permutation(order.begin(), order.end()));
}

// With a fourth: the number is closed, and means another file by the time the fiber runs. In each of the 24 orders it resumes
// once, and has not read that one.
TEST_F(table, four_wake_ups_in_every_order) {
    std::string order = "clrt"; // cancelled, closed, ready, timed out
    do {
        for (const bool owned : {false, true})
            coir::run([&] {
                ends made = make_sockets();
                const int number = made.read.take();
                std::optional<io::descriptor> owner;
                if (owned)
                    owner.emplace(number);
                parked_reader reader{number};
                ends next;
                for (const char event : order) {
                    if (event == 'c')
                        reader.cancel();
                    else if (event == 't')
                        reader.time_out();
                    else if (event == 'l') {
                        owner ? owner->close() : io::close(number);
                        next = make_sockets();
                        ASSERT_EQ(next.read.get(), number);
                        ASSERT_EQ(::write(next.write.get(), "fresh", 5), 5);
                    } else {
                        ::send(made.write.get(), "x", 1, MSG_NOSIGNAL); // to nobody, when it is closed
                        look_for_events();
                    }
                }
                reader.join();
                EXPECT_EQ(reader.ends_of_wait, 1) << order;
                EXPECT_EQ(reader.error, std::errc::bad_file_descriptor) << order;
                EXPECT_EQ(read_what_is_there(number), 5U) << order;
            });
    } while (std::next_permutation(order.begin(), order.end()));
}

// Called, but before the fiber runs the number is closed and means another file: it must not read that one (hazard E2).
TEST_F(table, a_called_fiber_does_not_read_from_the_next_file_of_that_number) {
    for (const bool owned : {false, true})
        coir::run([owned] {
            ends made = make_sockets();
            const int number = made.read.take();
            std::optional<io::descriptor> owner;
            if (owned)
                owner.emplace(number);
            auto reader = spawn([&] { return error_of([&](auto& error) { io::read_some(number, buffer, error); }); });
            this_fiber::sleep_for(100us);
            ASSERT_EQ(::write(made.write.get(), "x", 1), 1);
            loop::current()->driver().run_once(detail::without_waiting);
            owner ? owner->close() : io::close(number);
            ends next = make_sockets();
            ASSERT_EQ(next.read.get(), number);
            ASSERT_EQ(::write(next.write.get(), "fresh", 5), 5);
            EXPECT_EQ(reader.join(), std::errc::bad_file_descriptor);
            EXPECT_EQ(io::read_some(number, buffer, 1s), 5U);
        });
}

// The same of a select: and who then waits for the other file is called.
TEST_F(table, a_called_select_leaves_the_next_file_of_that_number_alone) {
    for (const bool owned : {false, true})
        coir::run([owned] {
            ends made = make_sockets();
            const int number = made.read.take();
            std::optional<io::descriptor> owner;
            if (owned)
                owner.emplace(number);
            auto selector = spawn([&] { return thrown_by([&] { coir::select(io::readable(number), after(10s)); }); });
            this_fiber::sleep_for(100us);
            ASSERT_EQ(::write(made.write.get(), "x", 1), 1);
            loop::current()->driver().run_once(detail::without_waiting);
            owner ? owner->close() : io::close(number);
            ends next = make_sockets();
            ASSERT_EQ(next.read.get(), number);
            EXPECT_EQ(selector.join(), std::errc::bad_file_descriptor);
            auto reader = spawn([&] { return io::read_some(number, buffer, 5s); });
            this_fiber::sleep_for(100us);
            ASSERT_EQ(::write(next.write.get(), "fresh", 5), 5);
            EXPECT_EQ(reader.join(), 5U);
        });
}

// Called, but something else has taken the data before the fiber runs: it goes before those who came later, as often as
// that happens.
TEST_F(table, who_was_called_in_vain_stays_the_first) {
    for (const bool owned : {false, true})
        coir::run([owned] {
            ends made = make_sockets();
            const int number = made.read.get();
            std::optional<io::descriptor> owner;
            if (owned)
                owner.emplace(made.read.take());
            std::string order;
            std::vector<fiber<void>> readers;
            for (const char name : {'a', 'b', 'c'})
                readers.push_back(spawn([&, name] {
                    std::array<std::byte, 1> byte{};
                    EXPECT_EQ(io::read_some(number, byte, 5s), 1U);
                    order += name;
                }));
            this_fiber::yield();
            for (int i = 0; i < 2; ++i) {
                ASSERT_EQ(::write(made.write.get(), "x", 1), 1);
                loop::current()->driver().run_once(detail::without_waiting); // a is called
                ASSERT_EQ(::read(number, buffer.data(), 1), 1);
                this_fiber::yield(); // and finds nothing
            }
            ASSERT_EQ(::write(made.write.get(), "xyz", 3), 3);
            for (auto& reader : readers)
                reader.join();
            EXPECT_EQ(order, "abc");
        });
}

// A poll between the call and the moment the fiber runs reports the data once more: no reason to unregister.
TEST_F(table, a_called_fiber_keeps_its_registration) {
    coir::run([] {
        ends made = make_sockets();
        io::descriptor in{made.read.take()};
        auto reader = spawn([&] {
            for (int i = 0; i < 100; ++i)
                EXPECT_EQ(in.read_some(buffer, 5s), 1U);
        });
        this_fiber::sleep_for(100us);
        registrations = 0;
        for (int i = 0; i < 100; ++i) {
            ASSERT_EQ(::write(made.write.get(), "x", 1), 1);
            for (int again = 0; again < 3; ++again)
                loop::current()->driver().run_once(detail::without_waiting);
            this_fiber::yield();
        }
        reader.join();
        EXPECT_EQ(registrations, 0);
    });
}

// The file lives on in a duplicate: closing our number must take it out of epoll, or its next event makes libev build a new
// epoll and register everything again (hazard E3).
TEST_F(table, closing_a_number_of_a_file_that_lives_on) {
    coir::run([] {
        std::vector<io::descriptor> idle;
        std::vector<raw> peers;
        for (int i = 0; i < 100; ++i) {
            ends made = make_sockets();
            idle.emplace_back(made.read.take());
            peers.push_back(std::move(made.write));
            error_of([&](auto& error) { idle.back().read_some(buffer, error, 1us); });
        }
        registrations = 0;
        constexpr std::size_t closed = 10;
        for (std::size_t i = 0; i < closed; ++i) {
            const raw duplicate{::fcntl(idle[i].get(), F_DUPFD_CLOEXEC, 0)};
            idle[i].close();
            ends reused = make_sockets();
            const io::descriptor next{reused.read.take()};
            auto reader = spawn([&] { error_of([&](auto& error) { io::read_some(next.get(), buffer, error, 1ms); }); });
            this_fiber::yield();
            ASSERT_EQ(::write(peers[i].get(), "x", 1), 1);
            reader.join();
        }
        EXPECT_LE(registrations, static_cast<int>(4 * closed));
    });
}

/// Allows this process so many descriptors, as long as it lives.
class more_descriptors {
public:
    explicit more_descriptors(rlim_t wanted) {
        ::getrlimit(RLIMIT_NOFILE, &before_);
        const rlimit allowed{std::max(before_.rlim_cur, std::min(before_.rlim_max, wanted)), before_.rlim_max};
        ::setrlimit(RLIMIT_NOFILE, &allowed);
        suffices = allowed.rlim_cur >= wanted;
    }
    ~more_descriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }
    more_descriptors(const more_descriptors&) = delete;
    more_descriptors& operator=(const more_descriptors&) = delete;

    bool suffices;

private:
    rlimit before_{};
};

// The same in the size in which a new epoll would cost milliseconds each time: of 2,000 connections 1,000 are closed, and a child
// process holds them all.
TEST_F(table, closing_a_thousand_of_two_thousand_that_a_child_holds) {
    constexpr std::size_t count = 2'000;
    constexpr std::size_t closed = 1'000;
    const more_descriptors allowed{2 * count + 100};
    if (!allowed.suffices)
        GTEST_SKIP() << "not so many descriptors allowed";
    coir::run([&] {
        std::vector<io::descriptor> idle;
        std::vector<raw> peers;
        std::vector<fiber<void>> readers;
        std::size_t got = 0;
        std::size_t ended = 0;
        for (std::size_t i = 0; i < count; ++i) {
            ends made = make_sockets();
            idle.emplace_back(made.read.take());
            peers.push_back(std::move(made.write));
            readers.push_back(spawn([&, number = idle.back().get()] {
                std::array<std::byte, 1> byte{};
                std::error_code error;
                (io::read_some(number, byte, error) == 1 ? got : ended) += 1;
            }));
        }
        while (registrations < static_cast<int>(count)) // all of them wait in epoll
            this_fiber::sleep_for(1ms);
        const pid_t child = fork_dependent();
        if (child == 0)
            for (;;)
                ::pause();
        epolls = registrations = 0;
        for (std::size_t i = 0; i < closed; ++i) {
            idle[i].close();
            ASSERT_EQ(::write(peers[i].get(), "x", 1), 1); // it has arrived, for the child
        }
        std::vector<std::chrono::steady_clock::duration> passes(200);
        for (auto& pass : passes) {
            const auto start = std::chrono::steady_clock::now();
            loop::current()->driver().run_once(detail::without_waiting);
            pass = std::chrono::steady_clock::now() - start;
        }
        std::sort(passes.begin(), passes.end());
        EXPECT_LT(passes[passes.size() * 99 / 100], 1ms);
        EXPECT_EQ(epolls, 0);
        EXPECT_LE(registrations, static_cast<int>(closed + 10));
        for (std::size_t i = closed; i < count; ++i)
            ASSERT_EQ(::write(peers[i].get(), "y", 1), 1);
        for (auto& reader : readers)
            reader.join();
        EXPECT_EQ(got, count - closed);
        EXPECT_EQ(ended, closed);
        ::kill(child, SIGKILL);
        ::waitpid(child, nullptr, 0);
    });
}

// A timer that has expired, then nothing but waiting for a descriptor: the expiry is not reported again and again.
TEST_F(table, nothing_wakes_the_loop_after_the_last_timer) {
    coir::run([] {
        const ends made = make_pipe();
        std::thread other{[&] {
            std::this_thread::sleep_for(50ms);
            EXPECT_EQ(::write(made.write.get(), "x", 1), 1);
        }};
        this_fiber::sleep_for(1ms);
        polls = 0;
        EXPECT_EQ(io::read_some(made.read.get(), buffer), 1U);
        EXPECT_LE(polls, 3);
        other.join();
    });
}

// A message queue is a regular file to fstat(), and yet epoll knows when it is ready.
TEST_F(table, a_message_queue_is_waited_for) {
    const std::string name = "/coir-test-" + std::to_string(::getpid());
    mq_attr size{};
    size.mq_maxmsg = 2;
    size.mq_msgsize = 8;
    const mqd_t queue = ::mq_open(name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600, &size);
    if (queue == -1)
        GTEST_SKIP() << "no message queues here: " << std::generic_category().message(errno);
    ::mq_unlink(name.c_str());
    coir::run([queue] {
        std::error_code error;
        polls = 0;
        io::wait_readable(queue, error, 100ms);
        EXPECT_EQ(error, std::errc::timed_out);
        EXPECT_LE(polls, 5);
        auto sender = spawn([queue] { EXPECT_EQ(::mq_send(queue, "x", 1, 0), 0); });
        io::wait_readable(queue, 5s);
        std::array<char, 8> text{};
        EXPECT_EQ(::mq_receive(queue, text.data(), text.size(), nullptr), 1);
        sender.join();
    });
    ::mq_close(queue);
}

} // namespace
} // namespace coir::test
