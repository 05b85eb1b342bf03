// A fiber that ends leaves its stack to the next one that has none yet, without a switch. The heir must find nothing of its
// predecessor: no exceptions, no floating-point mode, no frames.

#include "child_process.hpp"
#include "context/frame.hpp"
#include "sched/fake_driver.hpp"

#include <coir/cancelled.hpp>
#include <coir/fiber.hpp>
#include <coir/stack_size.hpp>
#include <coir/this_fiber.hpp>

#include <gtest/gtest.h>

#include <cfenv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <unwind.h>
#include <vector>

namespace {

using coir::cancelled;
using coir::fiber;
using coir::fiber_options;
using coir::spawn;
using coir::detail::fake_driver;
using coir::detail::fake_source;
using coir::detail::run_on;
namespace this_fiber = coir::this_fiber;
using namespace std::chrono_literals;

class adopted_stack : public testing::Test {
protected:
    ~adopted_stack() override { std::fesetenv(FE_DFL_ENV); }
    fake_driver driver;
};

/// Before they are joined: who joins one that has not begun lends it a turn, and gets that back at its end.
void let_all_run_in_their_own_turns() {
    this_fiber::yield();
}

std::uintptr_t here() {
    return reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
}

TEST_F(adopted_stack, is_what_fibers_share_that_end_before_the_next_begins) {
    run_on(driver, [] {
        std::set<std::uintptr_t> places;
        std::vector<fiber<void>> workers;
        for (int i = 0; i < 1000; ++i)
            workers.push_back(spawn([&] { places.insert(here() / coir::default_stack_size); }));
        let_all_run_in_their_own_turns();
        for (auto& each : workers)
            each.join();
        EXPECT_LE(places.size(), 20U); // and not a thousand
    });
}

TEST_F(adopted_stack, is_left_alone_while_its_owner_lives) {
    run_on(driver, [] {
        std::vector<fiber<void>> workers;
        for (int i = 0; i < 300; ++i)
            workers.push_back(spawn([i] {
                volatile int numbers[100];
                for (volatile int& each : numbers)
                    each = i;
                if (i % 3 == 0)
                    return; // its stack goes to the next
                this_fiber::yield();
                for (volatile int& each : numbers)
                    ASSERT_EQ(each, i);
            }));
        let_all_run_in_their_own_turns();
        for (auto& each : workers)
            each.join();
    });
}

[[gnu::noinline]] std::size_t recurse(std::size_t depth) { // NOLINT(misc-no-recursion)
    volatile char frame[1000];
    frame[0] = static_cast<char>(depth);
    return depth == 0 ? 0 : recurse(depth - 1) + 1 + static_cast<std::size_t>(frame[0] - frame[0]);
}

// Each uses nearly all of it: were an inch lost at each change of hands, the last would fall off.
TEST_F(adopted_stack, has_its_whole_depth_for_every_heir) {
    run_on(driver, [] {
        std::vector<fiber<std::size_t>> workers;
        for (int i = 0; i < 2000; ++i)
            workers.push_back(spawn([] { return recurse(60); }));
        let_all_run_in_their_own_turns();
        for (auto& each : workers)
            EXPECT_EQ(each.join(), 60U);
    });
}

TEST_F(adopted_stack, begins_at_the_same_place_for_every_heir) {
    run_on(driver, [] {
        std::set<std::uintptr_t> places;
        for (int i = 0; i < 1000; ++i)
            spawn([&] { places.insert(here()); }).join();
        EXPECT_LE(places.size(), 4U);
    });
}

TEST_F(adopted_stack, does_not_pass_on_floating_point_modes) {
    run_on(driver, [] {
        std::fesetround(FE_TOWARDZERO);
        std::vector<fiber<int>> workers;
        for (int i = 0; i < 20; ++i)
            workers.push_back(spawn([] {
                const int found = std::fegetround();
                std::fesetround(FE_UPWARD);
                return found;
            }));
        std::fesetround(FE_DOWNWARD);
        workers.push_back(spawn([] { return std::fegetround(); }));
        let_all_run_in_their_own_turns();
        for (std::size_t i = 0; i < 20; ++i)
            EXPECT_EQ(workers[i].join(), FE_TOWARDZERO);
        EXPECT_EQ(workers[20].join(), FE_DOWNWARD);
        EXPECT_EQ(std::fegetround(), FE_DOWNWARD);
    });
    EXPECT_EQ(std::fegetround(), FE_TONEAREST);
}

#if defined(__x86_64__)

volatile long double zero = 0;
volatile long double one = 1;
volatile long double result = 0;

// The x87 unit reports late: what the first has raised while it was masked must not hit the heir, who has it unmasked.
TEST_F(adopted_stack, does_not_pass_on_floating_point_exceptions) {
    const auto end = in_child([] {
        fake_driver its_driver;
        run_on(its_driver, [] {
            feenableexcept(FE_DIVBYZERO);
            fiber<void> first = spawn([] {
                fedisableexcept(FE_DIVBYZERO);
                result = one / zero;
            });
            fiber<void> heir = spawn([] { result = one + one; });
            let_all_run_in_their_own_turns();
            first.join();
            heir.join();
        });
        return true;
    });
    EXPECT_TRUE(end.exited_well()) << end.status;
}

#endif

// A fiber that leaves by an exception, by cancellation, or from within a handler.
TEST_F(adopted_stack, does_not_pass_on_exceptions) {
    run_on(driver, [] {
        std::vector<fiber<void>> workers;
        for (int i = 0; i < 30; ++i)
            workers.push_back(spawn([i] {
                EXPECT_EQ(std::uncaught_exceptions(), 0);
                EXPECT_EQ(std::current_exception(), nullptr);
                if (i % 3 == 0)
                    throw std::runtime_error("first kind");
                if (i % 3 == 1) {
                    try {
                        throw std::runtime_error("second kind");
                    } catch (...) {
                        throw 3;
                    }
                }
            }));
        let_all_run_in_their_own_turns();
        for (std::size_t i = 0; i < workers.size(); ++i) {
            if (i % 3 == 0)
                EXPECT_THROW(workers[i].join(), std::runtime_error);
            else if (i % 3 == 1)
                EXPECT_THROW(workers[i].join(), int);
            else
                workers[i].join();
        }
        EXPECT_EQ(std::uncaught_exceptions(), 0);
        EXPECT_EQ(std::current_exception(), nullptr);
    });
}

TEST_F(adopted_stack, is_only_taken_by_fibers_of_the_same_size) {
    run_on(driver, [] {
        std::vector<fiber<std::size_t>> workers;
        for (int i = 0; i < 40; ++i) {
            if (i % 2 == 0)
                workers.push_back(spawn(fiber_options{.stack_size = 1 << 20}, [] { return recurse(700); }));
            else
                workers.push_back(
                    spawn(fiber_options{.stack_size = coir::minimum_stack_size}, [] { return recurse(3); }));
        }
        let_all_run_in_their_own_turns();
        for (std::size_t i = 0; i < workers.size(); ++i)
            EXPECT_EQ(workers[i].join(), i % 2 == 0 ? 700U : 3U);
    });
}

struct depth_of_backtrace {
    std::size_t frames = 0;
    std::uintptr_t last = 0;
};

[[gnu::noinline]] depth_of_backtrace look() {
    depth_of_backtrace result;
    _Unwind_Backtrace(
        [](_Unwind_Context* frame, void* argument) {
            auto& seen = *static_cast<depth_of_backtrace*>(argument);
            if (_Unwind_GetIP(frame) != 0) {
                seen.last = _Unwind_GetIP(frame);
                ++seen.frames;
            }
            return seen.frames < 1000 ? _URC_NO_REASON : _URC_END_OF_STACK;
        },
        &result);
    return result;
}

TEST_F(adopted_stack, shows_no_trace_of_earlier_fibers_in_a_backtrace) {
    run_on(driver, [] {
        std::vector<fiber<depth_of_backtrace>> workers;
        for (int i = 0; i < 10; ++i)
            workers.push_back(spawn([] {
                recurse(50);
                return look();
            }));
        let_all_run_in_their_own_turns();
        const depth_of_backtrace first = workers[0].join();
        EXPECT_LT(first.frames, 20U);
        for (std::size_t i = 1; i < workers.size(); ++i) {
            const depth_of_backtrace each = workers[i].join();
            EXPECT_EQ(each.frames, first.frames);
            EXPECT_EQ(each.last, first.last);
        }
#if !defined(COIR_SWITCH_BOOST)
        void (*const function)() = coir_entry;
        std::uintptr_t entry = 0;
        std::memcpy(&entry, &function, sizeof entry);
        EXPECT_GE(first.last, entry);
        EXPECT_LT(first.last, entry + 32);
#endif
    });
}

// Ends, starts, waits and wakes of three sizes in random order; each fiber checks its own memory.
TEST_F(adopted_stack, is_never_used_by_two_at_once) {
    for (unsigned seed = 1; seed <= 3; ++seed) {
        run_on(driver, [=] {
            std::minstd_rand random{seed};
            std::vector<fiber<void>> workers;
            fake_source source;
            for (int i = 0; i < 3000; ++i) {
                const std::size_t size = std::size_t{32 * 1024} << random() % 3;
                workers.push_back(spawn(fiber_options{.stack_size = size}, [&, own_seed = unsigned(random())] {
                    std::minstd_rand own{own_seed};
                    volatile unsigned mine[300];
                    for (volatile unsigned& each : mine)
                        each = own_seed;
                    for (auto turns = own() % 4; turns > 0; --turns) {
                        if (own() % 2 == 0)
                            this_fiber::yield();
                        else
                            source.wait(std::chrono::milliseconds{own() % 5});
                    }
                    for (volatile unsigned& each : mine)
                        ASSERT_EQ(each, own_seed);
                }));
                if (random() % 4 == 0) {
                    std::swap(workers[random() % workers.size()], workers.back());
                    workers.back().join();
                    workers.pop_back();
                } else if (random() % 4 == 0) {
                    source.notify_one();
                }
            }
            for (auto& each : workers)
                each.join();
        });
    }
}

} // namespace
