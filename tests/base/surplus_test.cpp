#include "base/surplus.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>

namespace {

constexpr std::int64_t period = coir::detail::surplus::period;
constexpr std::int64_t never = coir::detail::surplus::never;
constexpr std::int64_t at_once = coir::detail::surplus::at_once;

/// A pool of which only the number of things counts.
class surplus : public testing::Test {
protected:
    std::int64_t trim(std::int64_t now, std::size_t batch = 100) {
        return watch.trim(now, present, 3, batch, [this](std::size_t count) { present -= count; });
    }
    void take(std::size_t count) {
        present -= count;
        watch.taken(present);
    }

    coir::detail::surplus watch;
    std::size_t present = 0;
};

TEST_F(surplus, is_nothing_up_to_the_number_to_keep) {
    present = 3;
    EXPECT_EQ(trim(0), never);
    EXPECT_EQ(present, 3U);
}

TEST_F(surplus, is_kept_for_a_period) {
    present = 10;
    EXPECT_EQ(trim(5), 5 + period);
    EXPECT_EQ(trim(5 + period - 1), 5 + period);
    EXPECT_EQ(present, 10U);
    EXPECT_EQ(trim(5 + period), never);
    EXPECT_EQ(present, 3U);
}

TEST_F(surplus, is_what_was_there_all_the_time) {
    present = 10;
    trim(0);
    take(4);
    present += 4;
    EXPECT_EQ(trim(period), 2 * period); // the four may not be needed again
    EXPECT_EQ(present, 7U);
    EXPECT_EQ(trim(2 * period), never);
    EXPECT_EQ(present, 3U);
}

TEST_F(surplus, is_nothing_of_what_was_taken_even_once) {
    present = 10;
    for (std::int64_t now = 0; now < 20 * period; now += period / 3) {
        trim(now);
        take(9);
        present += 9;
        ASSERT_EQ(present, 10U);
    }
}

TEST_F(surplus, that_was_added_meanwhile_is_watched_first) {
    present = 10;
    trim(0);
    present += 20;
    EXPECT_EQ(trim(period), 2 * period);
    EXPECT_EQ(present, 23U);
    EXPECT_EQ(trim(2 * period), never);
    EXPECT_EQ(present, 3U);
}

TEST_F(surplus, goes_in_batches) {
    present = 10;
    trim(0, 4);
    EXPECT_EQ(trim(period, 4), at_once);
    EXPECT_EQ(present, 6U);
    EXPECT_EQ(trim(period, 4), never);
    EXPECT_EQ(present, 3U);
}

TEST_F(surplus, between_batches_may_be_needed_after_all) {
    present = 20;
    trim(0, 4);
    EXPECT_EQ(trim(period, 4), at_once);
    take(12);
    EXPECT_EQ(present, 4U);
    EXPECT_EQ(trim(period, 4), never);
    EXPECT_EQ(present, 3U);
}

TEST_F(surplus, begins_a_new_period_after_there_was_none) {
    present = 10;
    trim(0);
    present = 2;
    EXPECT_EQ(trim(period), never);
    present = 10;
    EXPECT_EQ(trim(period), 2 * period);
    EXPECT_EQ(present, 10U);
}

} // namespace
