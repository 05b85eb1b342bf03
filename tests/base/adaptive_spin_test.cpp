#include "base/adaptive_spin.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace {

using coir::detail::adaptive_spin;

// How often a condition that is never true is looked at before a sleep.
int looks(adaptive_spin& spin) {
    int count = 0;
    EXPECT_FALSE(spin.wait_for([&count] {
        ++count;
        return false;
    }));
    return count;
}

TEST(adaptive_spin, is_not_done_for_who_has_never_been_woken_by_it) {
    adaptive_spin spin;
    EXPECT_EQ(looks(spin), 0);
    spin.slept(false);
    EXPECT_EQ(looks(spin), 0);
}

TEST(adaptive_spin, ends_as_soon_as_the_condition_is_true) {
    adaptive_spin spin;
    spin.slept(true);
    for (int i = 0; i < 3; ++i) {
        int count = 0;
        EXPECT_TRUE(spin.wait_for([&count] { return ++count == 5; }));
        EXPECT_EQ(count, 5);
    }
}

TEST(adaptive_spin, is_done_more_and_more_rarely_while_nothing_comes) {
    adaptive_spin spin;
    std::vector<int> left_out;
    int sleeps = 0;
    for (int i = 0; i < 1'000; ++i) {
        spin.slept(true);
        if (looks(spin) == 0) {
            ++sleeps;
            continue;
        }
        left_out.push_back(sleeps);
        sleeps = 0;
    }
    ASSERT_GE(left_out.size(), 10U);
    left_out.resize(10);
    EXPECT_EQ(left_out, (std::vector{0, 1, 2, 4, 8, 16, 32, 64, 64, 64}));
}

TEST(adaptive_spin, trusts_again_after_a_success) {
    adaptive_spin spin;
    for (int i = 0; i < 1'000; ++i) {
        spin.slept(true);
        (void)looks(spin);
    }
    int sleeps = 0;
    while (!spin.wait_for([] { return true; }))
        ++sleeps;
    EXPECT_LE(sleeps, 64);
    EXPECT_EQ(looks(spin), adaptive_spin::pauses);
    EXPECT_EQ(looks(spin), 0); // left out once
    EXPECT_EQ(looks(spin), adaptive_spin::pauses);
}

TEST(adaptive_spin, is_not_done_after_a_sleep_that_something_else_ended) {
    adaptive_spin spin;
    spin.slept(true);
    EXPECT_TRUE(spin.wait_for([] { return true; }));
    spin.slept(false);
    EXPECT_EQ(looks(spin), 0);
}

} // namespace
