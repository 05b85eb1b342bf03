// The floating-point control words belong to the fiber, however it waits and however it begins (hazard B1).

#include <coir/fiber.hpp>
#include <coir/run.hpp>
#include <coir/this_fiber.hpp>

#include <gtest/gtest.h>

#include <cfenv>
#include <chrono>
#include <functional>
#include <vector>

#if defined(__x86_64__)
#include <cstdint>
#include <xmmintrin.h>
#endif

namespace {

using coir::fiber;
using coir::spawn;
namespace this_fiber = coir::this_fiber;
using namespace std::chrono_literals;

const std::vector<int> modes{FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};

class fiber_floating_point : public testing::Test {
protected:
    ~fiber_floating_point() override { std::fesetenv(FE_DFL_ENV); }
};

/// What the hardware does, not what the compiler computes beforehand.
volatile double one = 1;
volatile double three = 3;

double third() {
    return one / three;
}

/// 32 fibers, each with one of the four modes, call `wait` in between.
void expect_modes_kept_across(const std::function<void()>& wait) {
    const double nearest = third();
    coir::run([&] {
        std::vector<fiber<void>> fibers;
        for (std::size_t i = 0; i < 32; ++i)
            fibers.push_back(spawn([&, mode = modes[i % modes.size()]] {
                std::fesetround(mode);
                const double mine = third();
                for (int turn = 0; turn < 10; ++turn) {
                    wait();
                    ASSERT_EQ(std::fegetround(), mode);
                    ASSERT_EQ(third(), mine);
                }
                EXPECT_EQ(mine > nearest, mode == FE_UPWARD);
            }));
        for (fiber<void>& each : fibers)
            each.join();
        EXPECT_EQ(std::fegetround(), FE_TONEAREST);
    });
    EXPECT_EQ(std::fegetround(), FE_TONEAREST);
}

TEST_F(fiber_floating_point, rounding_mode_is_kept_across_yield) {
    expect_modes_kept_across([] { this_fiber::yield(); });
}

TEST_F(fiber_floating_point, rounding_mode_is_kept_across_sleep) {
    expect_modes_kept_across([] { this_fiber::sleep_for(100us); });
}

// One that begins at once, as a call, and one that begins on the stack of another.
TEST_F(fiber_floating_point, rounding_mode_is_kept_across_join) {
    expect_modes_kept_across([] {
        spawn([] { std::fesetround(FE_UPWARD); }).join();
        fiber<void> waits = spawn([] {
            std::fesetround(FE_DOWNWARD);
            this_fiber::yield();
        });
        this_fiber::yield();
        waits.join();
    });
}

TEST_F(fiber_floating_point, rounding_mode_is_inherited_from_who_spawns) {
    coir::run([] {
        for (const int mode : modes) {
            int seen = -1;
            std::fesetround(mode);
            fiber<void> child = spawn([&] { seen = std::fegetround(); });
            std::fesetround(FE_TONEAREST); // not from who joins it, or ran before
            child.join();
            EXPECT_EQ(seen, mode);
            EXPECT_EQ(std::fegetround(), FE_TONEAREST);
        }
    });
}

TEST_F(fiber_floating_point, rounding_mode_is_not_that_of_who_had_the_stack_before) {
    coir::run([] {
        std::vector<int> seen;
        for (int i = 0; i < 10; ++i) { // each ends, and the next begins on its stack
            spawn([&] {
                seen.push_back(std::fegetround());
                std::fesetround(FE_UPWARD);
            }).detach();
        }
        this_fiber::sleep_for(1ms);
        EXPECT_EQ(seen, std::vector<int>(10, FE_TONEAREST));
        EXPECT_EQ(std::fegetround(), FE_TONEAREST);
    });
}

TEST_F(fiber_floating_point, main_fiber_inherits_from_the_thread_and_changes_nothing_there) {
    std::fesetround(FE_TOWARDZERO);
    coir::run([] {
        EXPECT_EQ(std::fegetround(), FE_TOWARDZERO);
        std::fesetround(FE_UPWARD);
        this_fiber::sleep_for(1ms);
        EXPECT_EQ(std::fegetround(), FE_UPWARD);
    });
    EXPECT_EQ(std::fegetround(), FE_TOWARDZERO);
}

#if defined(__x86_64__)

constexpr unsigned flushes = 0x8000 | 0x0040; // FTZ, DAZ
constexpr unsigned precision = 0x0300;        // of the x87 unit

volatile double tiny = 4.9406564584124654e-324;
volatile long double long_one = 1;
volatile long double long_three = 3;

unsigned x87_control() {
    std::uint16_t word = 0;
    asm volatile("fnstcw %0" : "=m"(word));
    return word;
}

void set_x87_control(unsigned control) {
    const auto word = static_cast<std::uint16_t>(control);
    asm volatile("fldcw %0" : : "m"(word));
}

/// Two fibers take turns; only one of them has made the change.
template <class Change, class Check> void expect_own_control(const Change& change, const Check& is_changed) {
    coir::run([&] {
        const auto function = [&](bool changes) {
            if (changes)
                change();
            for (int turn = 0; turn < 10; ++turn) {
                if (turn % 2 == 0)
                    this_fiber::yield();
                else
                    this_fiber::sleep_for(100us);
                ASSERT_EQ(is_changed(), changes);
            }
        };
        fiber<void> changed = spawn(function, true);
        fiber<void> plain = spawn(function, false);
        changed.join();
        EXPECT_FALSE(is_changed());
        plain.join();
    });
    EXPECT_FALSE(is_changed());
}

TEST_F(fiber_floating_point, flush_to_zero_is_kept_across_waits) {
    expect_own_control([] { _mm_setcsr(_mm_getcsr() | flushes); },
                       [] { return (_mm_getcsr() & flushes) == flushes && tiny * one == 0; });
}

TEST_F(fiber_floating_point, precision_of_long_double_is_kept_across_waits) {
    expect_own_control([] { set_x87_control(x87_control() & ~precision); },
                       [] {
                           return (x87_control() & precision) == 0 &&
                                  long_one / long_three == static_cast<long double>(1.0F / 3.0F);
                       });
}

TEST_F(fiber_floating_point, enabled_exceptions_are_kept_across_waits) {
    expect_own_control([] { feenableexcept(FE_DIVBYZERO); }, [] { return fegetexcept() == FE_DIVBYZERO; });
}

#endif

} // namespace
