// Signals that fibers wait for.

#include "io/descriptors.hpp"

#include <coir/cancelled.hpp>
#include <coir/fiber.hpp>
#include <coir/run.hpp>
#include <coir/select.hpp>
#include <coir/signal_set.hpp>
#include <coir/this_fiber.hpp>

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <stdexcept>
#include <sys/resource.h>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace {

using coir::fiber;
using coir::run;
using coir::spawn;
using coir::io::signal_info;
using coir::io::signal_set;
using coir::test::error_of;
using coir::test::in_child;
using coir::test::thrown_by;
namespace this_fiber = coir::this_fiber;
using namespace std::chrono_literals;

class signal_set_test : public coir::test::descriptors {
protected:
    void SetUp() override {
        descriptors::SetUp();
        ::pthread_sigmask(SIG_BLOCK, nullptr, &mask_);
    }
    void TearDown() override {
        sigset_t after;
        ::pthread_sigmask(SIG_BLOCK, nullptr, &after);
        for (int signal = 1; signal <= SIGRTMAX; ++signal)
            EXPECT_EQ(::sigismember(&after, signal), ::sigismember(&mask_, signal)) << signal;
        descriptors::TearDown();
    }

private:
    sigset_t mask_{};
};

TEST_F(signal_set_test, returns_what_has_come_and_from_whom) {
    run([] {
        signal_set signals{SIGUSR1, SIGRTMIN};
        ::kill(::getpid(), SIGUSR1);
        signal_info info = signals.wait(20s);
        EXPECT_EQ(info.signal, SIGUSR1);
        EXPECT_EQ(info.code, SI_USER);
        EXPECT_EQ(info.sender, ::getpid());
        EXPECT_EQ(info.user, ::getuid());

        fiber<signal_info> waiting = spawn([&] { return signals.wait(20s); });
        this_fiber::yield();
        ::sigqueue(::getpid(), SIGRTMIN, sigval{.sival_int = 42});
        info = waiting.join();
        EXPECT_EQ(info.signal, SIGRTMIN);
        EXPECT_EQ(info.code, SI_QUEUE);
        EXPECT_EQ(info.value, 42);

        coir::test::in_child([parent = ::getpid()] { return ::kill(parent, SIGUSR1); });
        EXPECT_NE(signals.wait(20s).sender, ::getpid());
    });
}

TEST_F(signal_set_test, may_be_made_before_the_loop_and_before_the_threads) {
    signal_set signals{SIGUSR1};
    std::thread other{[] { ::kill(::getpid(), SIGUSR1); }}; // it has the signal blocked, too
    run([&] { EXPECT_EQ(signals.wait(20s).signal, SIGUSR1); });
    other.join();
}

TEST_F(signal_set_test, waits_with_a_deadline_and_can_be_cancelled) {
    run([] {
        signal_set signals{SIGUSR1};
        EXPECT_EQ(thrown_by([&] { signals.wait(5ms); }), std::errc::timed_out);
        EXPECT_EQ(error_of([&](auto& error) { signals.wait(error, coir::deadline::passed()); }), std::errc::timed_out);
        fiber<void> waiting = spawn([&] {
            EXPECT_EQ(error_of([&](auto& error) { signals.wait(error); }), std::errc::operation_canceled);
            signals.wait();
        });
        this_fiber::yield();
        waiting.cancel();
        EXPECT_THROW(waiting.join(), coir::cancelled);
        ::raise(SIGUSR1); // to this thread
        EXPECT_EQ(signals.wait(coir::deadline::passed()).signal, SIGUSR1);
    });
}

TEST_F(signal_set_test, is_a_case_of_select) {
    run([] {
        signal_set signals{SIGUSR1};
        EXPECT_EQ(coir::select(signals.readable(), coir::after(1ms)), 1U);
        fiber<void> sender = spawn([] { ::kill(::getpid(), SIGUSR1); });
        EXPECT_EQ(coir::select(coir::after(20s), signals.readable()), 1U);
        EXPECT_EQ(signals.wait(coir::deadline::passed()).signal, SIGUSR1);
        EXPECT_EQ(coir::select(signals.readable(), coir::after(1ms)), 1U);
    });
}

TEST_F(signal_set_test, does_not_get_what_belongs_to_another) {
    run([] {
        signal_set first{SIGUSR1};
        signal_set second{SIGUSR2, SIGHUP};
        fiber<int> one = spawn([&] { return first.wait(20s).signal; });
        fiber<int> two = spawn([&] { return second.wait(20s).signal; });
        this_fiber::yield();
        ::kill(::getpid(), SIGUSR2);
        EXPECT_EQ(two.join(), SIGUSR2);
        ::kill(::getpid(), SIGUSR1);
        EXPECT_EQ(one.join(), SIGUSR1);
        EXPECT_THROW((signal_set{SIGUSR1}), std::invalid_argument); // the first has it
    });
}

TEST_F(signal_set_test, tells_each_of_several_waiters_of_one) {
    run([] {
        signal_set signals{SIGUSR1, SIGUSR2, SIGHUP};
        int sum = 0;
        std::vector<fiber<void>> waiting;
        for (int i = 0; i < 3; ++i)
            waiting.push_back(spawn([&] { sum += signals.wait(20s).signal; }));
        this_fiber::yield();
        for (const int signal : {SIGUSR1, SIGUSR2, SIGHUP})
            ::kill(::getpid(), signal);
        for (fiber<void>& each : waiting)
            each.join();
        EXPECT_EQ(sum, SIGUSR1 + SIGUSR2 + SIGHUP);
    });
}

TEST_F(signal_set_test, of_queued_signals_loses_none_and_of_others_keeps_a_mark) {
    run([] {
        signal_set signals{SIGRTMIN, SIGRTMIN + 1, SIGUSR1};
        constexpr int count = 500;
        std::thread storm{[] {
            for (int i = 0; i < count; ++i)
                for (const int signal : {SIGRTMIN, SIGRTMIN + 1})
                    while (::sigqueue(::getpid(), signal, sigval{.sival_int = i}) != 0) // the queue is full
                        std::this_thread::yield();
        }};
        int next[2]{};
        for (int i = 0; i < 2 * count; ++i) {
            const signal_info info = signals.wait(20s);
            EXPECT_EQ(info.value, next[info.signal - SIGRTMIN]++);
        }
        storm.join();
        for (int i = 0; i < 100; ++i)
            ::kill(::getpid(), SIGUSR1);
        EXPECT_EQ(signals.wait(20s).signal, SIGUSR1);
        EXPECT_EQ(thrown_by([&] { signals.wait(coir::deadline::passed()); }), std::errc::timed_out);
    });
}

TEST_F(signal_set_test, refuses_what_cannot_be_waited_for) {
    for (const int signal :
         {SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, 0, -1, 32, 33, 65, 1'000'000}) {
        EXPECT_THROW((signal_set{SIGUSR1, signal}), std::invalid_argument) << signal;
        EXPECT_EQ(error_of([&](auto& error) {
                      signal_set(std::array{SIGUSR1, signal}, error);
                  }),
                  std::errc::invalid_argument);
    }
    try {
        signal_set{SIGKILL};
    } catch (const std::invalid_argument& misuse) {
        EXPECT_STREQ(misuse.what(), "coir: io::signal_set: signal 9 cannot be blocked");
    }
}

TEST_F(signal_set_test, without_descriptors_blocks_nothing) {
    rlimit before{};
    ::getrlimit(RLIMIT_NOFILE, &before);
    rlimit none = before;
    none.rlim_cur = 0;
    ::setrlimit(RLIMIT_NOFILE, &none);
    const std::error_code thrown = thrown_by([] { signal_set{SIGUSR1}; });
    const std::error_code reported = error_of([](auto& error) { signal_set(std::array{SIGUSR1}, error); });
    ::setrlimit(RLIMIT_NOFILE, &before);
    EXPECT_EQ(thrown, std::errc::too_many_files_open);
    EXPECT_EQ(reported, std::errc::too_many_files_open);
    const signal_set possible{SIGUSR1}; // and has taken nothing
}

TEST_F(signal_set_test, is_an_error_outside_of_run_and_when_it_has_none) {
    signal_set signals{SIGUSR1};
    EXPECT_THROW(signals.wait(), std::logic_error);
    EXPECT_EQ(error_of([&](auto& error) { signals.wait(error); }), std::errc::operation_not_permitted);
    run([&] {
        signal_set moved = std::move(signals);
        EXPECT_FALSE(signals);
        EXPECT_TRUE(moved);
        EXPECT_EQ(thrown_by([&] { signals.wait(); }), std::errc::bad_file_descriptor);
        ::raise(SIGUSR1);
        EXPECT_EQ(moved.wait(20s).signal, SIGUSR1);
        fiber<void> waiting = spawn([&] { moved.wait(); });
        this_fiber::sleep_for(1ms); // the loop has registered it
        moved = {};
        EXPECT_EQ(thrown_by([&] { waiting.join(); }), std::errc::bad_file_descriptor);
    });
}

TEST_F(signal_set_test, leaves_blocked_what_was_blocked_before) {
    sigset_t user;
    sigset_t before;
    ::sigemptyset(&user);
    ::sigaddset(&user, SIGUSR1);
    ::pthread_sigmask(SIG_BLOCK, &user, &before);
    { const signal_set signals{SIGUSR1, SIGUSR2}; }
    sigset_t after;
    ::pthread_sigmask(SIG_SETMASK, &before, &after);
    EXPECT_EQ(::sigismember(&after, SIGUSR1), 1);
    EXPECT_EQ(::sigismember(&after, SIGUSR2), 0);
}

TEST_F(signal_set_test, gives_back_what_nobody_has_waited_for) {
    EXPECT_EQ(in_child([] {
                  {
                      const signal_set signals{SIGTERM};
                      ::raise(SIGTERM);
                  }
                  return 0;
              }),
              -SIGTERM);
}

} // namespace
