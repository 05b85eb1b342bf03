#include <coir/deadline.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <compare>
#include <cstdint>
#include <limits>
#include <ratio>

namespace {

using coir::deadline;
using std::chrono::duration;
using std::chrono::nanoseconds;
using std::chrono::time_point;
using clock = deadline::clock;
using namespace std::chrono_literals;

template <class Duration> constexpr deadline at(Duration since_epoch) {
    return deadline{time_point<clock, Duration>{since_epoch}};
}

/// `until` is `expected` from now.
testing::AssertionResult is_from_now(auto make, nanoseconds expected) {
    const auto before = clock::now();
    const deadline until = make();
    const auto after = clock::now();
    if (before + expected <= until.time() && until.time() <= after + expected)
        return testing::AssertionSuccess();
    return testing::AssertionFailure() << (until.time() - before).count() << " ns from now";
}

TEST(deadline, is_never_unless_something_else_is_said) {
    EXPECT_TRUE(deadline{}.is_never());
    EXPECT_EQ(deadline{}, deadline::never());
    EXPECT_FALSE(deadline::never().has_passed());
    EXPECT_EQ(deadline::never().time(), clock::time_point::max());
}

TEST(deadline, passed_has_passed) {
    EXPECT_TRUE(deadline::passed().has_passed());
    EXPECT_FALSE(deadline::passed().is_never());
}

TEST(deadline, passes_when_the_clock_reaches_it) {
    EXPECT_TRUE(deadline{clock::now()}.has_passed());
    EXPECT_TRUE(deadline{0s}.has_passed());
    EXPECT_FALSE(deadline{clock::now() + 1h}.has_passed());
}

TEST(deadline, counts_a_duration_from_now) {
    EXPECT_TRUE(is_from_now([] { return deadline{5s}; }, 5s));
    EXPECT_TRUE(is_from_now([] { return deadline{1ns}; }, 1ns));
    EXPECT_TRUE(is_from_now([] { return deadline{std::chrono::hours{24 * 365}}; }, std::chrono::hours{24 * 365}));
    EXPECT_TRUE(is_from_now([] { return deadline{duration<unsigned>{7}}; }, 7s));
}

TEST(deadline, of_a_negative_duration_has_passed) {
    EXPECT_TRUE(deadline{-1ns}.has_passed());
    EXPECT_TRUE(deadline{-10h}.has_passed());
    EXPECT_TRUE(deadline{duration<double>{-0.5}}.has_passed());
    EXPECT_TRUE(deadline{nanoseconds::min()}.has_passed());
    EXPECT_TRUE(deadline{std::chrono::hours::min()}.has_passed());
    EXPECT_TRUE(deadline{duration<double>{-INFINITY}}.has_passed());
}

TEST(deadline, of_a_duration_too_long_is_never) {
    EXPECT_TRUE(deadline{nanoseconds::max()}.is_never());
    EXPECT_TRUE(deadline{nanoseconds::max() - 1ns}.is_never()); // together with what the clock says
    EXPECT_TRUE(deadline{std::chrono::seconds::max()}.is_never());
    EXPECT_TRUE(deadline{std::chrono::hours::max()}.is_never());
    EXPECT_TRUE(deadline{std::chrono::years{100'000}}.is_never());
    EXPECT_TRUE((deadline{duration<std::uint64_t>{std::numeric_limits<std::uint64_t>::max()}}.is_never()));
    EXPECT_TRUE(deadline{duration<double>{1e300}}.is_never());
    EXPECT_TRUE(deadline{duration<float>{INFINITY}}.is_never());
}

TEST(deadline, of_not_a_number_is_never) {
    EXPECT_TRUE(deadline{duration<double>{NAN}}.is_never());
    EXPECT_TRUE(at(duration<double>{NAN}).is_never());
}

TEST(deadline, takes_fractions) {
    EXPECT_TRUE(is_from_now([] { return deadline{duration<double>{0.25}}; }, 250ms));
    EXPECT_TRUE(is_from_now([] { return deadline{duration<int, std::ratio<1, 4>>{3}}; }, 750ms));
}

TEST(deadline, rounds_up_so_that_it_is_never_too_early) {
    EXPECT_EQ(at(duration<std::int64_t, std::pico>{1}).time().time_since_epoch(), 1ns);
    EXPECT_EQ(at(duration<std::int64_t, std::pico>{1000}).time().time_since_epoch(), 1ns);
    EXPECT_EQ(at(duration<std::int64_t, std::pico>{1001}).time().time_since_epoch(), 2ns);
    EXPECT_EQ(at(duration<std::int64_t, std::pico>{-1500}).time().time_since_epoch(), -1ns);
    EXPECT_EQ(at(duration<int, std::ratio<1, 3>>{1}).time().time_since_epoch(), 333'333'334ns);
    EXPECT_EQ(at(duration<double, std::nano>{2.25}).time().time_since_epoch(), 3ns);
    EXPECT_EQ(at(duration<double, std::nano>{-2.25}).time().time_since_epoch(), -2ns);
}

TEST(deadline, takes_time_points_of_other_durations) {
    EXPECT_EQ(at(3s).time().time_since_epoch(), 3s);
    EXPECT_EQ(at(2min).time().time_since_epoch(), 120s);
    EXPECT_EQ(at(duration<double>{1.5}).time().time_since_epoch(), 1500ms);
    EXPECT_TRUE(at(std::chrono::seconds::max()).is_never());
    EXPECT_TRUE(at(std::chrono::seconds::min()).has_passed());
    EXPECT_TRUE(deadline{clock::time_point::max()}.is_never());
    EXPECT_TRUE(deadline{clock::time_point::min()}.has_passed());
}

TEST(deadline, of_a_time_point_is_known_to_the_compiler) {
    static_assert(deadline{clock::time_point{5s}}.time() == clock::time_point{5s});
    static_assert(deadline{}.is_never());
    static_assert(deadline::passed() < deadline{clock::time_point{0s}});
}

TEST(deadline, is_ordered_by_time) {
    EXPECT_LT(deadline::passed(), at(-1s));
    EXPECT_LT(at(-1s), at(1s));
    EXPECT_LT(at(1s), deadline::never());
    EXPECT_EQ(at(1s), at(1000ms));
    EXPECT_EQ(at(1s) <=> at(2s), std::strong_ordering::less);
}

TEST(deadline, takes_time_points_of_other_clocks_as_they_go_now) {
    using std::chrono::system_clock;
    const deadline soon = system_clock::now() + 1h;
    EXPECT_GT(soon, deadline{59min});
    EXPECT_LT(soon, deadline{61min});
    EXPECT_TRUE(deadline{system_clock::now() - 1s}.has_passed());
    EXPECT_TRUE(deadline{system_clock::time_point::max()}.is_never());
    EXPECT_TRUE(deadline{system_clock::time_point::min()}.has_passed());
    EXPECT_TRUE(deadline{system_clock::time_point{}}.has_passed());
}

} // namespace
