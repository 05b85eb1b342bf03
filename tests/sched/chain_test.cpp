// A million ends and beginnings, each caused by the one before: nothing nests, nothing grows (hazard G5).

#include "sched/fake_driver.hpp"
#include "stack/guard.hpp"

#include <coir/fiber.hpp>
#include <coir/stack_size.hpp>
#include <coir/this_fiber.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

namespace {

using coir::fiber;
using coir::fiber_options;
using coir::minimum_stack_size;
using coir::spawn;
using coir::detail::fake_driver;
using coir::detail::fake_source;
using coir::detail::run_on;
namespace this_fiber = coir::this_fiber;

#if defined(COIR_ASAN) || defined(COIR_TSAN)
constexpr int many = 20'000; // ten times as slow, frees nothing at once; and no more than 8,000 fibers at once
#else
constexpr int many = 1'000'000;
#endif

/// Stacks in use at the same time. Guards by protection are limited by vm.max_map_count.
int many_stacks() {
    const bool unlimited = coir::detail::available_guard() == coir::detail::guard_kind::marker;
    return std::min(many / 20, unlimited ? many : 25'000);
}

std::size_t resident_kibibytes() {
    std::ifstream status{"/proc/self/status"};
    for (std::string word; status >> word;) {
        if (word == "VmRSS:") {
            std::size_t size = 0;
            status >> size;
            return size;
        }
    }
    return 0;
}

/// Lowest and highest address at which the function of a fiber was seen to run.
struct range {
    std::uintptr_t low = ~std::uintptr_t{0};
    std::uintptr_t high = 0;
    void add(std::uintptr_t address) {
        low = std::min(low, address);
        high = std::max(high, address);
    }
};

TEST(chain, of_a_million_fibers_each_of_which_starts_the_next) {
    struct link {
        int left;
        int& reached;
        range& places;
        void operator()() const {
            places.add(reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0)));
            ++reached;
            if (left > 0)
                spawn(fiber_options{.stack_size = minimum_stack_size}, link{left - 1, reached, places}).detach();
        }
    };
    fake_driver driver;
    int reached = 0;
    range places;
    const std::size_t before = resident_kibibytes();
    run_on(driver, [&] {
        spawn(fiber_options{.stack_size = minimum_stack_size}, link{many - 1, reached, places}).detach();
        while (reached < many)
            this_fiber::yield();
    });
    EXPECT_EQ(reached, many);
    EXPECT_LT(places.high - places.low, std::uintptr_t{4} << 20); // a few stacks
    EXPECT_LT(resident_kibibytes() - before, 20'000U);
}

// All are there before the first ends, and wait for their predecessors.
TEST(chain, of_fibers_each_of_which_waits_for_the_one_before) {
    const int length = many_stacks();
    fake_driver driver;
    const int last = run_on(driver, [=] {
        fiber<int> previous = spawn(fiber_options{.stack_size = minimum_stack_size}, [] {
            this_fiber::yield(); // until all the others wait
            return 1;
        });
        for (int i = 1; i < length; ++i)
            previous = [](fiber<int> before) {
                return spawn(fiber_options{.stack_size = minimum_stack_size},
                             [before = std::move(before)]() mutable { return before.join() + 1; });
            }(std::move(previous));
        return previous.join();
    });
    EXPECT_EQ(last, length);
}

// Each end wakes the next, which then ends.
TEST(chain, of_parked_fibers_each_of_which_wakes_the_next_at_its_end) {
    const int length = many_stacks();
    fake_driver driver;
    run_on(driver, [=] {
        fake_source source;
        int ended = 0;
        std::vector<fiber<void>> workers;
        for (int i = 0; i < length; ++i)
            workers.push_back(spawn(fiber_options{.stack_size = minimum_stack_size}, [&] {
                struct wakes_next {
                    fake_source& source;
                    ~wakes_next() { source.notify_one(); }
                } const at_end{source};
                source.wait();
                ++ended;
            }));
        this_fiber::yield();
        EXPECT_TRUE(source.notify_one());
        for (auto& each : workers)
            each.join();
        EXPECT_EQ(ended, length);
    });
}

// Destroying the first destroys what it owns, which destroys what that owns: one stack each, not one for all.
TEST(chain, of_fibers_each_of_which_owns_the_next_ends_by_cancellation_of_the_first) {
    static constexpr int length = many / 100;
    fake_driver driver;
    run_on(driver, [] {
        int alive = 0;
        struct counts {
            int& alive;
            explicit counts(int& counter) : alive(counter) { ++alive; }
            ~counts() { --alive; }
        };
        fiber<void> first;
        for (int i = 0; i < length; ++i)
            first = [&](fiber<void> next) {
                return spawn(fiber_options{.stack_size = minimum_stack_size}, [&alive, next = std::move(next)] {
                    const counts here{alive};
                    this_fiber::sleep_until({});
                });
            }(std::move(first));
        this_fiber::yield();
        EXPECT_EQ(alive, length);
        first = {};
        EXPECT_EQ(alive, 0);
    });
}

} // namespace
