#include "base/process_barrier.hpp"
#include "base/spin_lock.hpp"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <barrier>
#include <cstdint>
#include <limits>
#include <memory>
#include <thread>
#include <vector>

namespace {

using coir::detail::revocations_left;
using coir::detail::spin_lock;

constexpr int threads = 3;
constexpr int rounds = 300;
constexpr int steps = 2000;

class biased_lock : public testing::Test {
protected:
    biased_lock() { revocations_left = std::numeric_limits<int>::max(); }
    ~biased_lock() override { revocations_left = before_; }

    static bool can_be_biased() {
#if defined(COIR_TSAN)
        return false;
#else
        return coir::detail::has_process_barrier();
#endif
    }

private:
    const int before_ = revocations_left;
};

/// What `work(round)` does in several threads at once, which all begin a round together.
template <class Work> void in_threads(Work work) {
    std::barrier begin{threads};
    std::vector<std::jthread> all;
    for (int number = 0; number < threads; ++number)
        all.emplace_back([&, number] {
            for (int round = 0; round < rounds; ++round) {
                begin.arrive_and_wait();
                work(round, number);
            }
        });
}

TEST_F(biased_lock, is_held_by_one_thread_at_a_time_whenever_its_bias_is_taken_away) {
    struct guarded {
        spin_lock lock;
        std::int64_t count = 0;
    };
    const auto all = std::make_unique<std::array<guarded, rounds>>();
    in_threads([&](int round, int number) {
        guarded& here = (*all)[static_cast<std::size_t>(round)];
        // The others come while the first is at it.
        for (int i = number == 0 ? 0 : steps / 2; i < steps; ++i) {
            const coir::detail::guard held{here.lock};
            ++here.count;
        }
    });
    for (const guarded& each : *all)
        ASSERT_EQ(each.count, steps + (threads - 1) * (steps / 2));
}

TEST_F(biased_lock, can_be_replaced_by_an_atomic_operation_once_it_is_not_biased) {
    struct word {
        spin_lock lock;
        std::atomic<std::int64_t> count{0};
    };
    const auto all = std::make_unique<std::array<word, rounds>>();
    in_threads([&](int round, int /*number*/) {
        word& here = (*all)[static_cast<std::size_t>(round)];
        for (int i = 0; i < steps; ++i) {
            if (here.lock.lock_if_biased()) {
                here.count.store(here.count.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
                here.lock.unlock_biased();
            } else {
                here.count.fetch_add(1, std::memory_order_relaxed);
            }
        }
    });
    for (const word& each : *all)
        ASSERT_EQ(each.count, threads * steps);
}

TEST_F(biased_lock, keeps_its_bias_until_another_thread_comes) {
    if (!can_be_biased())
        GTEST_SKIP() << "membarrier(2) is not to be had here";
    spin_lock lock;
    for (int i = 0; i < 3; ++i) {
        ASSERT_TRUE(lock.lock_if_biased());
        lock.unlock_biased();
    }
    std::jthread{[&lock] { const coir::detail::guard held{lock}; }}.join();
    EXPECT_FALSE(lock.lock_if_biased());
    const coir::detail::guard held{lock}; // and is a lock all the same
}

TEST_F(biased_lock, belongs_to_who_locks_it_first_and_not_to_who_made_it) {
    if (!can_be_biased())
        GTEST_SKIP() << "membarrier(2) is not to be had here";
    spin_lock lock;
    bool was_biased = false;
    std::jthread{[&] {
        was_biased = lock.lock_if_biased();
        if (was_biased)
            lock.unlock_biased();
    }}.join();
    EXPECT_TRUE(was_biased);
    EXPECT_FALSE(lock.lock_if_biased());
}

TEST_F(biased_lock, is_not_made_any_more_after_too_many_have_lost_their_bias) {
    if (!can_be_biased())
        GTEST_SKIP() << "membarrier(2) is not to be had here";
    revocations_left = 1;
    spin_lock first;
    ASSERT_TRUE(first.lock_if_biased());
    first.unlock_biased();
    std::jthread{[&first] { const coir::detail::guard held{first}; }}.join();
    EXPECT_EQ(revocations_left, 0);
    spin_lock second;
    EXPECT_FALSE(second.lock_if_biased());
}

} // namespace
