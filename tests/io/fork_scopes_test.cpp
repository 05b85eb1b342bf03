// fork() in a fiber that is in scopes and has task groups: what of these goes on in the child.

#include "await_end.hpp"

#include <coir/cancel_scope.hpp>
#include <coir/fiber.hpp>
#include <coir/run.hpp>
#include <coir/task_group.hpp>
#include <coir/this_fiber.hpp>
#include <coir/with_timeout.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <unistd.h>

namespace {

using coir::fiber;
using coir::spawn;
namespace this_fiber = coir::this_fiber;
using namespace std::chrono_literals;

/// Runs `function` in a child of this fiber; true if it returns true there.
template <class Function> bool is_true_in_child(Function function) {
    const pid_t child = ::fork();
    if (child == 0) {
        ::alarm(20);
        bool good = false;
        try {
            good = function();
        } catch (...) {}
        ::_exit(good ? 0 : 1);
    }
    return await_end(child) == 0;
}

TEST(fork_in_a_scope, keeps_the_deadlines_around_it_in_the_child) {
    coir::run([] {
        const fiber<void> sleeper = spawn([] { this_fiber::sleep_for(1h); }); // whose timer goes
        this_fiber::yield();
        EXPECT_TRUE(coir::try_with_timeout(1h, [] {
            coir::cancel_scope scope{20ms};
            const bool is_ended = is_true_in_child([&] { return !scope.run([] { this_fiber::sleep_for(1h); }); });
            EXPECT_TRUE(is_ended);
        }));
    });
}

TEST(fork_in_a_task_group, leaves_the_child_the_group_without_members) {
    coir::run([] {
        coir::task_group group{.max_concurrent = 2};
        group.spawn([] { this_fiber::sleep_for(1h); });
        fiber<void> stranger = spawn([&] { group.spawn([] { this_fiber::sleep_for(1h); }); });
        this_fiber::yield();
        EXPECT_TRUE(is_true_in_child([&] {
            this_fiber::yield();
            const bool was_empty = group.size() == 0;
            int runs = 0;
            for (int i = 0; i < 3; ++i)
                group.spawn([&runs] {
                    this_fiber::sleep_for(1ms);
                    ++runs;
                });
            group.join();
            return was_empty && runs == 3;
        }));
        group.cancel();
        stranger.wait();
        group.join();
    });
}

// Some have been given it, and have not run since.
TEST(fork_in_a_task_group, takes_back_the_places_of_those_who_are_gone) {
    coir::run([] {
        coir::task_group group{.max_concurrent = 1};
        group.spawn([] { this_fiber::yield(); });
        fiber<void> stranger = spawn([&] { group.spawn([] {}); });
        while (group.size() != 0) // the member has ended, the place is promised to the stranger
            this_fiber::yield();
        EXPECT_TRUE(is_true_in_child([&] {
            bool ran = false;
            group.spawn([&ran] { ran = true; });
            group.join();
            return ran;
        }));
        stranger.join();
        group.join();
    });
}

} // namespace
