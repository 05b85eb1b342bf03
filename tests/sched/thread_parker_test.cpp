#include "sched/thread_parker.hpp"

#include <coir/deadline.hpp>

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <pthread.h>
#include <thread>

namespace {

using coir::deadline;
using coir::detail::thread_parker;
using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;

TEST(thread_parker, is_one_for_each_thread) {
    thread_parker* const mine = &thread_parker::current();
    EXPECT_EQ(&thread_parker::current(), mine);
    std::thread([&] { EXPECT_NE(&thread_parker::current(), mine); }).join();
}

TEST(thread_parker, does_not_park_when_it_has_been_unparked_before_and_only_once) {
    thread_parker& parker = thread_parker::current();
    std::atomic<bool> delivered{false};
    parker.unpark(delivered);
    EXPECT_TRUE(parker.park(delivered, deadline::never()));
    const std::atomic<bool> another{false};
    EXPECT_FALSE(parker.park(another, deadline::passed()));
}

// A wait inside a wait, as when a destructor blocks: the tokens of both come in any order.
TEST(thread_parker, keeps_the_token_of_a_wait_further_out) {
    thread_parker& parker = thread_parker::current();
    std::atomic<bool> outer{false};
    std::atomic<bool> inner{false};
    parker.unpark(outer);
    EXPECT_FALSE(parker.park(inner, deadline::passed()));
    parker.unpark(inner);
    EXPECT_TRUE(parker.park(inner, deadline::never()));
    EXPECT_TRUE(parker.park(outer, deadline::never()));
    const std::atomic<bool> another{false};
    EXPECT_FALSE(parker.park(another, deadline::passed()));
}

TEST(thread_parker, gives_up_at_the_deadline_and_not_earlier) {
    thread_parker& parker = thread_parker::current();
    const std::atomic<bool> delivered{false};
    for (const auto time : {0ms, 1ms, 10ms}) {
        const auto start = steady::now();
        errno = 42;
        EXPECT_FALSE(parker.park(delivered, time));
        EXPECT_GE(steady::now() - start, time);
        EXPECT_EQ(errno, 42);
    }
    EXPECT_FALSE(parker.park(delivered, -1s));
    EXPECT_FALSE(parker.park(delivered, deadline{steady::time_point{}}));
}

TEST(thread_parker, is_unparked_by_another_thread) {
    std::atomic<thread_parker*> parker{nullptr};
    std::atomic<int> wakes{0};
    std::array<std::atomic<bool>, 1000> delivered{};
    std::thread parked([&] {
        parker = &thread_parker::current();
        parker.notify_one();
        for (std::size_t i = 0; i < delivered.size(); ++i) {
            EXPECT_TRUE(thread_parker::current().park(delivered[i], i % 2 == 0 ? deadline::never() : deadline{1h}));
            ++wakes;
            wakes.notify_one();
        }
    });
    parker.wait(nullptr);
    for (int i = 0; i < 1000; ++i) {
        parker.load()->unpark(delivered[static_cast<std::size_t>(i)]); // before, while or after it parks
        wakes.wait(i);
    }
    parked.join();
    EXPECT_EQ(wakes, 1000);
}

TEST(thread_parker, is_not_woken_by_signals) {
    static std::atomic<int> handled;
    handled = 0;
    struct sigaction action = {};
    action.sa_handler = [](int) {
        ++handled;
        handled.notify_all();
    };
    struct sigaction before = {};
    ASSERT_EQ(::sigaction(SIGUSR1, &action, &before), 0);
    std::atomic<bool> unparked{false};
    std::atomic<bool> delivered{false};
    std::atomic<thread_parker*> parker{nullptr};
    std::thread parked([&] {
        parker = &thread_parker::current();
        parker.notify_one();
        EXPECT_TRUE(thread_parker::current().park(delivered, deadline::never()));
        EXPECT_TRUE(unparked);
    });
    parker.wait(nullptr);
    for (int i = 0; i < 20; ++i) {
        ::pthread_kill(parked.native_handle(), SIGUSR1);
        handled.wait(i);
    }
    unparked = true;
    parker.load()->unpark(delivered);
    parked.join();
    ::sigaction(SIGUSR1, &before, nullptr);
}

} // namespace
