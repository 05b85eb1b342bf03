#include "child_process.hpp"

#include <coir/context.hpp>

#include <gtest/gtest.h>

#include <cfenv>
#include <cstdint>
#include <vector>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace {

using coir::context;

class floating_point : public testing::Test {
protected:
    ~floating_point() override { std::fesetenv(FE_DFL_ENV); }
};

/// What the hardware does, not what the compiler computes beforehand.
volatile double one = 1;
volatile double three = 3;
volatile double result = 0;

double third() {
    return one / three;
}

TEST_F(floating_point, rounding_mode_set_inside_stays_inside) {
    const double nearest = third();
    double upward = 0;
    context inside{[&](context::self& self) {
        std::fesetround(FE_UPWARD);
        self.suspend();
        upward = third();
        EXPECT_EQ(std::fegetround(), FE_UPWARD);
        self.suspend();
    }};
    inside.resume();
    EXPECT_EQ(std::fegetround(), FE_TONEAREST);
    EXPECT_EQ(third(), nearest);
    inside.resume();
    EXPECT_EQ(third(), nearest);
    EXPECT_GT(upward, nearest);
}

TEST_F(floating_point, rounding_mode_set_outside_stays_outside) {
    int seen = -1;
    context inside{[&](context::self& self) {
        self.suspend();
        seen = std::fegetround();
    }};
    inside.resume();
    std::fesetround(FE_DOWNWARD);
    inside.resume();
    EXPECT_EQ(seen, FE_TONEAREST);
    EXPECT_EQ(std::fegetround(), FE_DOWNWARD);
}

TEST_F(floating_point, a_context_inherits_from_its_creator) {
    int seen = -1;
    std::fesetround(FE_TOWARDZERO);
    context inside{[&](context::self& self) {
        seen = std::fegetround();
        self.suspend();
        seen = std::fegetround();
    }};
    std::fesetround(FE_TONEAREST); // not from who resumes it first
    inside.resume();
    EXPECT_EQ(seen, FE_TOWARDZERO);
    EXPECT_EQ(std::fegetround(), FE_TONEAREST);
    seen = -1;
    inside.resume();
    EXPECT_EQ(seen, FE_TOWARDZERO);
}

TEST_F(floating_point, a_reused_stack_does_not_keep_the_mode_of_its_last_user) {
    {
        context first{[](context::self& /*self*/) { std::fesetround(FE_UPWARD); }};
        first.resume();
    }
    int seen = -1;
    context second{[&](context::self& /*self*/) { seen = std::fegetround(); }};
    second.resume();
    EXPECT_EQ(seen, FE_TONEAREST);
    EXPECT_EQ(std::fegetround(), FE_TONEAREST);
}

TEST_F(floating_point, each_of_many_contexts_has_its_own_mode) {
    const std::vector<int> modes{FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};
    std::vector<context> contexts;
    for (std::size_t i = 0; i < 32; ++i)
        contexts.emplace_back([mode = modes[i % 4]](context::self& self) {
            std::fesetround(mode);
            for (int turn = 0; turn < 10; ++turn) {
                self.suspend();
                ASSERT_EQ(std::fegetround(), mode);
            }
        });
    for (bool more = true; more;) {
        more = false;
        for (context& each : contexts)
            more |= !each.done() && each.resume();
        ASSERT_EQ(std::fegetround(), FE_TONEAREST);
    }
}

#if defined(__x86_64__)

volatile long double long_zero = 0;
volatile long double long_one = 1;
volatile long double long_three = 3;

constexpr unsigned flush_to_zero = 0x8000;
constexpr unsigned denormals_are_zero = 0x0040;

std::uint16_t x87_control() {
    std::uint16_t word = 0;
    asm volatile("fnstcw %0" : "=m"(word));
    return word;
}

void set_x87_control(std::uint16_t word) {
    asm volatile("fldcw %0" : : "m"(word));
}

TEST_F(floating_point, flush_to_zero_stays_inside) {
    context inside{[](context::self& self) {
        _mm_setcsr(_mm_getcsr() | flush_to_zero | denormals_are_zero);
        self.suspend();
        EXPECT_EQ(_mm_getcsr() & (flush_to_zero | denormals_are_zero), flush_to_zero | denormals_are_zero);
    }};
    inside.resume();
    EXPECT_EQ(_mm_getcsr() & (flush_to_zero | denormals_are_zero), 0U);
    volatile double tiny = 4.9406564584124654e-324;
    EXPECT_NE(tiny * 1.0, 0.0);
    inside.resume();
    EXPECT_EQ(_mm_getcsr() & (flush_to_zero | denormals_are_zero), 0U);
}

TEST_F(floating_point, precision_of_long_double_stays_inside) {
    const std::uint16_t before = x87_control();
    context inside{[=](context::self& self) {
        set_x87_control(before & 0xFCFF); // 24 bits
        self.suspend();
        EXPECT_EQ(x87_control() & 0x0300, 0);
        EXPECT_EQ(long_one / long_three, static_cast<long double>(1.0F / 3.0F));
        self.suspend();
    }};
    for (int i = 0; i < 2; ++i) {
        inside.resume();
        EXPECT_EQ(x87_control(), before);
        EXPECT_NE(long_one / long_three, static_cast<long double>(1.0F / 3.0F));
    }
}

TEST_F(floating_point, precision_of_long_double_is_inherited) {
    const std::uint16_t before = x87_control();
    set_x87_control(before & 0xFCFF);
    std::uint16_t seen = 0;
    context inside{[&](context::self& /*self*/) { seen = x87_control(); }};
    set_x87_control(before);
    inside.resume();
    EXPECT_EQ(seen, before & 0xFCFF);
    EXPECT_EQ(x87_control(), before);
}

TEST_F(floating_point, exceptions_enabled_inside_are_enabled_only_there) {
    context inside{[](context::self& self) {
        feenableexcept(FE_DIVBYZERO);
        self.suspend();
        EXPECT_EQ(fegetexcept(), FE_DIVBYZERO);
        self.suspend();
        fedisableexcept(FE_ALL_EXCEPT);
    }};
    inside.resume();
    EXPECT_EQ(fegetexcept(), 0);
    volatile double zero = 0;
    volatile double infinite = 1 / zero; // no signal
    EXPECT_GT(infinite, 1e308);
    inside.resume();
    inside.resume();
    EXPECT_EQ(fegetexcept(), 0);
}

#if !defined(COIR_SWITCH_BOOST)

// x87 reports late: a status flag that one side has raised and masked must not become a signal on the other, where the
// same exception is enabled.
TEST_F(floating_point, an_exception_masked_outside_is_no_signal_inside) {
    const auto end = in_child([] {
        context inside{[](context::self& self) {
            feenableexcept(FE_DIVBYZERO);
            self.suspend();
            volatile long double harmless = long_one + long_one;
            (void)harmless;
        }};
        inside.resume();
        volatile long double infinite = long_one / long_zero;
        (void)infinite;
        inside.resume();
        return true;
    });
    EXPECT_TRUE(end.exited_well()) << end.status;
}

#endif
#endif

#if defined(__aarch64__)

constexpr std::uint64_t flush_to_zero = std::uint64_t{1} << 24; // FZ
constexpr std::uint64_t default_nan = std::uint64_t{1} << 25;   // DN

std::uint64_t fpcr() {
    std::uint64_t value = 0;
    asm volatile("mrs %0, fpcr" : "=r"(value));
    return value;
}

void set_fpcr(std::uint64_t value) {
    asm volatile("msr fpcr, %0" : : "r"(value));
}

volatile double tiny = 4.9406564584124654e-324;

TEST_F(floating_point, flush_to_zero_stays_inside) {
    const std::uint64_t before = fpcr();
    context inside{[=](context::self& self) {
        set_fpcr(before | flush_to_zero | default_nan);
        self.suspend();
        EXPECT_EQ(fpcr(), before | flush_to_zero | default_nan);
        EXPECT_EQ(tiny * one, 0.0);
    }};
    inside.resume();
    EXPECT_EQ(fpcr(), before);
    EXPECT_NE(tiny * one, 0.0);
    inside.resume();
    EXPECT_EQ(fpcr(), before);
}

TEST_F(floating_point, flush_to_zero_is_inherited) {
    const std::uint64_t before = fpcr();
    set_fpcr(before | flush_to_zero);
    std::uint64_t seen = 0;
    context inside{[&](context::self& /*self*/) { seen = fpcr(); }};
    set_fpcr(before);
    inside.resume();
    EXPECT_EQ(seen, before | flush_to_zero);
    EXPECT_EQ(fpcr(), before);
}

#endif

#if !defined(__x86_64__)

// The ABI does not preserve the status flags, and a switch writes the control word only.
TEST_F(floating_point, status_flags_belong_to_the_thread) {
    std::feclearexcept(FE_ALL_EXCEPT);
    context inside{[](context::self& self) {
        result = third();
        self.suspend();
    }};
    inside.resume();
    EXPECT_TRUE(std::fetestexcept(FE_INEXACT));
}

// Not even when a switch loads the control word, which on RISC-V is in the same register.
TEST_F(floating_point, status_flags_stay_when_the_rounding_mode_changes) {
    std::feclearexcept(FE_ALL_EXCEPT);
    int seen = 0;
    context inside{[&](context::self& self) {
        std::fesetround(FE_UPWARD);
        result = third();
        self.suspend();
        seen = std::fetestexcept(FE_ALL_EXCEPT);
    }};
    inside.resume();
    EXPECT_EQ(std::fetestexcept(FE_ALL_EXCEPT), FE_INEXACT);
    inside.resume();
    EXPECT_EQ(seen, FE_INEXACT);
}

#endif

} // namespace
