// Both variants of the switch, whichever is the faster one here.
#if defined(__x86_64__) && !defined(COIR_SWITCH_BOOST)

#include "context/frame.hpp"

#include <coir/context.hpp>
#include <gtest/gtest.h>

#include <cfenv>
#include <xmmintrin.h>

extern "C" bool coir_mxcsr_is_free_to_load;

namespace {

using coir::context;

class tune_switch : public testing::TestWithParam<bool> {
protected:
    void TearDown() override {
        std::fesetenv(FE_DFL_ENV);
        coir::detail::tune_switch();
    }
};

constexpr unsigned control_bits = 0xffc0;

TEST_P(tune_switch, keeps_each_sides_control_words) {
    constexpr unsigned flush_to_zero = 0x8000;
    unsigned inside_after = 0;
    int rounding_inside_after = 0;
    context inside{[&](context::self& self) {
        std::fesetround(FE_UPWARD); // both control words
        _mm_setcsr(_mm_getcsr() | flush_to_zero);
        self.suspend();
        inside_after = _mm_getcsr();
        rounding_inside_after = std::fegetround();
        self.suspend();
    }};
    coir_mxcsr_is_free_to_load = GetParam(); // after the constructor, which tunes
    const unsigned before = _mm_getcsr();
    inside.resume();
    EXPECT_EQ(_mm_getcsr() & control_bits, before & control_bits);
    EXPECT_EQ(std::fegetround(), FE_TONEAREST);
    std::fesetround(FE_DOWNWARD);
    inside.resume();
    EXPECT_TRUE(inside_after & flush_to_zero);
    EXPECT_EQ(rounding_inside_after, FE_UPWARD);
    EXPECT_EQ(std::fegetround(), FE_DOWNWARD);
    EXPECT_FALSE(_mm_getcsr() & flush_to_zero);
}

TEST_P(tune_switch, keeps_words_that_differ_in_mxcsr_only) {
    context inside{[](context::self& self) {
        for (;;) {
            _mm_setcsr((_mm_getcsr() & ~0x6000U) | 0x2000U); // down
            self.suspend();
        }
    }};
    coir_mxcsr_is_free_to_load = GetParam();
    for (int i = 0; i < 3; ++i) {
        inside.resume();
        EXPECT_EQ(_mm_getcsr() & 0x6000U, 0U);
    }
}

TEST_P(tune_switch, keeps_words_that_differ_in_x87_only) {
    const auto x87_precision = [] {
        unsigned short word = 0;
        asm volatile("fnstcw %0" : "=m"(word));
        return word & 0x0300;
    };
    context inside{[&](context::self& self) {
        unsigned short word = 0;
        asm volatile("fnstcw %0" : "=m"(word));
        word = static_cast<unsigned short>(word & 0xfcff);
        asm volatile("fldcw %0" : : "m"(word));
        self.suspend();
        EXPECT_EQ(x87_precision(), 0);
    }};
    coir_mxcsr_is_free_to_load = GetParam();
    inside.resume();
    EXPECT_EQ(x87_precision(), 0x0300);
    inside.resume();
    EXPECT_EQ(x87_precision(), 0x0300);
}

INSTANTIATE_TEST_SUITE_P(variants, tune_switch, testing::Values(false, true),
                         [](const auto& tested) { return tested.param ? "loads" : "compares"; });

} // namespace

#endif
