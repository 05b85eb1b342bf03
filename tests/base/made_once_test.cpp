#include "base/made_once.hpp"
#include "base/remembered.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace {

using coir::detail::made_once;
using coir::detail::remembered;

std::atomic<int> asked{0};

int answer() noexcept {
    ++asked;
    return 42;
}

TEST(remembered, asks_once) {
    EXPECT_EQ(remembered<answer>(), 42);
    EXPECT_EQ(remembered<answer>(), 42);
    EXPECT_EQ(asked, 1);
}

TEST(made_once, is_the_same_for_all_threads) {
    constexpr auto make = [] { return std::make_unique<int>(7); };
    std::vector<int*> found(8);
    {
        std::vector<std::jthread> threads;
        for (int*& each : found)
            threads.emplace_back([&each, make] { each = &made_once<make>(); });
    }
    for (int* each : found)
        EXPECT_EQ(each, found.front());
    EXPECT_EQ(*found.front(), 7);
}

// A static variable of a function would keep the child waiting for the thread that initialises it, for ever.
std::atomic<bool> is_inside{false};
std::atomic<bool> may_go_on{false};

int slow_answer() noexcept {
    is_inside = true;
    while (!may_go_on)
        std::this_thread::yield();
    return 1;
}

std::unique_ptr<int> make_slowly() {
    return std::make_unique<int>(slow_answer());
}

template <class Call> void child_does_not_wait_for_a_thread_inside(Call call) {
    is_inside = may_go_on = false;
    std::jthread first{[&] { EXPECT_EQ(call(), 1); }};
    while (!is_inside)
        std::this_thread::yield();
    const pid_t child = ::fork();
    if (child == 0) {
        ::alarm(10);
        may_go_on = true;
        ::_exit(call() == 1 ? 0 : 1);
    }
    may_go_on = true;
    int status = -1;
    ::waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
}

TEST(remembered, in_the_child_of_a_fork_does_not_wait_for_a_thread_that_is_asking) {
    child_does_not_wait_for_a_thread_inside([] { return remembered<slow_answer>(); });
}

TEST(made_once, in_the_child_of_a_fork_does_not_wait_for_a_thread_that_is_making) {
    child_does_not_wait_for_a_thread_inside([] { return made_once<make_slowly>(); });
}

} // namespace
