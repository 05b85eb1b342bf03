// Name servers that do not answer keep nobody waiting but those who ask (hazard F8).
#include "net/resolver_fixture.hpp"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <filesystem>
#include <iterator>
#include <numeric>
#include <vector>

namespace coir::test {
namespace {

using clock = std::chrono::steady_clock;

std::ptrdiff_t threads() {
    return std::distance(std::filesystem::directory_iterator{"/proc/self/task"}, std::filesystem::directory_iterator{});
}

clock::duration processor_time() {
    timespec used{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return std::chrono::seconds{used.tv_sec} + std::chrono::nanoseconds{used.tv_nsec};
}

/// Sleeps for a millisecond again and again, and notes how long that took.
class ticker {
public:
    [[nodiscard]] std::size_t ticks() const { return gaps_.size(); }
    [[nodiscard]] clock::duration largest_gap() const { return *std::max_element(gaps_.begin(), gaps_.end()); }
    [[nodiscard]] clock::duration usual_gap() {
        const auto middle = gaps_.begin() + std::ssize(gaps_) / 2;
        std::nth_element(gaps_.begin(), middle, gaps_.end());
        return *middle;
    }
    [[nodiscard]] clock::duration in_gaps_of(clock::duration least) const {
        return std::accumulate(gaps_.begin(), gaps_.end(), clock::duration{},
                               [least](auto sum, auto gap) { return gap < least ? sum : sum + gap; });
    }
    [[nodiscard]] std::ptrdiff_t most_threads() const { return most_threads_; }

    void stop() {
        done_ = true;
        fiber_.join();
    }

private:
    void tick() {
        for (auto last = clock::now(); !done_;) {
            this_fiber::sleep_for(1ms);
            const auto now = clock::now();
            gaps_.push_back(now - last);
            last = now;
            if (gaps_.size() % 64 == 1)
                most_threads_ = std::max(most_threads_, threads());
        }
    }

    bool done_ = false;
    std::vector<clock::duration> gaps_;
    std::ptrdiff_t most_threads_ = 0;
    fiber<void> fiber_ = spawn([this] { tick(); });
};

TEST_F(names, silence_does_not_stop_the_others) {
    constexpr auto patience = 1500ms;
    const dns::server silent{[](const dns::query&) -> packets { return {}; }};
    coir::run([&] {
        const std::ptrdiff_t threads_before = threads();
        resolver waits{only(silent)};
        resolver_options insistent = only(silent);
        insistent.timeout = 100ms;
        insistent.tries = 50;
        resolver asks_again{insistent};
        ticker others;
        const auto processor_before = processor_time();
        const deadline until = patience;
        auto second = spawn([&] { EXPECT_EQ(failure_of(asks_again, "n2", until), std::errc::timed_out); });
        const auto start = clock::now();
        EXPECT_EQ(failure_of(waits, "n1", until), std::errc::timed_out);
        EXPECT_GE(clock::now() - start, patience - 100ms);
        second.join();
        const auto used = processor_time() - processor_before;
        others.stop();
        // A lookup that kept the thread would do so as long as it waits, or 100 ms and more at a time. The rest is for busy
        // machines.
        EXPECT_GT(others.ticks(), 200U);
        EXPECT_LT(others.usual_gap(), 1ms + 5ms);
        EXPECT_LT(others.in_gaps_of(50ms), 300ms);
        EXPECT_LT(others.largest_gap(), 250ms);
        EXPECT_LT(used, patience / 2) << "it waits, it does not poll";
        EXPECT_EQ(others.most_threads(), threads_before);
    });
    EXPECT_EQ(silent.asked("n1"), 2U);
    EXPECT_GT(silent.asked("n2"), 2U) << "has asked again";
}

} // namespace
} // namespace coir::test
