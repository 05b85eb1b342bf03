#include "sched/thread_parker.hpp"

#include <coir/deadline.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
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
    parker.unpark();
    EXPECT_TRUE(parker.park(deadline::never()));
    EXPECT_FALSE(parker.park(deadline::passed()));
}

TEST(thread_parker, gives_up_at_the_deadline_and_not_earlier) {
    thread_parker& parker = thread_parker::current();
    for (const auto time : {0ms, 1ms, 10ms}) {
        const auto start = steady::now();
        errno = 42;
        EXPECT_FALSE(parker.park(time));
        EXPECT_GE(steady::now() - start, time);
        EXPECT_EQ(errno, 42);
    }
    EXPECT_FALSE(parker.park(-1s));
    EXPECT_FALSE(parker.park(deadline{steady::time_point{}}));
}

TEST(thread_parker, is_unparked_by_another_thread) {
    std::atomic<thread_parker*> parker{nullptr};
    std::atomic<int> wakes{0};
    std::thread parked([&] {
        parker = &thread_parker::current();
        parker.notify_one();
        for (int i = 0; i < 1000; ++i) {
            EXPECT_TRUE(thread_parker::current().park(i % 2 == 0 ? deadline::never() : deadline{1h}));
            ++wakes;
            wakes.notify_one();
        }
    });
    parker.wait(nullptr);
    for (int i = 0; i < 1000; ++i) {
        parker.load()->unpark(); // before, while or after it parks
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
    std::atomic<thread_parker*> parker{nullptr};
    std::thread parked([&] {
        parker = &thread_parker::current();
        parker.notify_one();
        EXPECT_TRUE(thread_parker::current().park(deadline::never()));
        EXPECT_TRUE(unparked);
    });
    parker.wait(nullptr);
    for (int i = 0; i < 20; ++i) {
        ::pthread_kill(parked.native_handle(), SIGUSR1);
        handled.wait(i);
    }
    unparked = true;
    parker.load()->unpark();
    parked.join();
    ::sigaction(SIGUSR1, &before, nullptr);
}

} // namespace
