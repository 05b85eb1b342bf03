#include "stack/guard.hpp"
#include "stack/stack_pool.hpp"
#include "stack/stack_pools.hpp"

#include <coir/stack_size.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fcntl.h>
#include <limits>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

namespace {

using coir::default_stack_size;
using coir::minimum_stack_size;
using coir::detail::page_size;
using coir::detail::stack;
using coir::detail::stack_pools;

std::uintptr_t address(const std::byte* where) {
    return reinterpret_cast<std::uintptr_t>(where);
}

void touch_all(const stack& memory) {
    std::memset(memory.bottom, 1, memory.size());
}

std::size_t pages_in_memory(const std::byte* bottom, std::size_t size) {
    std::vector<unsigned char> present(size / page_size());
    if (::mincore(const_cast<std::byte*>(bottom), size, present.data()) != 0)
        return std::numeric_limits<std::size_t>::max();
    return static_cast<std::size_t>(
        std::count_if(present.begin(), present.end(), [](unsigned char c) { return c & 1; }));
}

/// Asks the kernel, who answers without a signal.
bool is_writable(std::byte* where) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0)
        throw std::runtime_error("no pipe");
    const bool written = ::write(ends[1], "x", 1) == 1 && ::read(ends[0], where, 1) == 1;
    ::close(ends[0]);
    ::close(ends[1]);
    return written;
}

class stack_pool : public testing::Test {
protected:
    stack take() {
        pool.promise();
        return pool.allocate(nullptr);
    }
    void give(const stack& memory) {
        pool.deallocate(memory.bottom);
        pool.end_promise();
    }

    coir::detail::stack_pool pool{default_stack_size};
};

TEST_F(stack_pool, makes_tops_that_are_aligned_to_16) {
    for (int i = 0; i < 300; ++i) {
        const stack memory = take();
        ASSERT_EQ(address(memory.top) % 16, 0U);
        ASSERT_EQ(address(memory.bottom) % page_size(), 0U);
    }
}

TEST_F(stack_pool, gives_no_less_than_was_asked_for_whatever_the_colour) {
    for (const std::size_t size : {minimum_stack_size, std::size_t{20'000}, default_stack_size, std::size_t{1} << 20}) {
        coir::detail::stack_pool other{size};
        for (int i = 0; i < 16; ++i) {
            other.promise();
            const stack memory = other.allocate(nullptr);
            EXPECT_GE(memory.size(), size);
            EXPECT_LT(memory.size(), size + 1024 + 2 * page_size());
            touch_all(memory);
        }
    }
}

TEST_F(stack_pool, makes_default_stacks_of_a_round_size) {
    EXPECT_EQ(pool.geometry().bytes, std::size_t{128} << 10);
}

TEST_F(stack_pool, has_a_guard_below_every_stack) {
    for (int i = 0; i < 600; ++i) { // of several slabs
        const stack memory = take();
        ASSERT_TRUE(is_writable(memory.bottom));
        ASSERT_TRUE(is_writable(memory.top - 1));
        ASSERT_FALSE(is_writable(memory.bottom - 1));
        ASSERT_FALSE(is_writable(memory.bottom - page_size()));
    }
}

TEST_F(stack_pool, keeps_stacks_apart) {
    std::vector<stack> all;
    for (int i = 0; i < 300; ++i)
        all.push_back(take());
    std::sort(all.begin(), all.end(), [](const stack& a, const stack& b) { return a.bottom < b.bottom; });
    for (std::size_t i = 1; i < all.size(); ++i)
        ASSERT_LE(address(all[i - 1].top) + page_size(), address(all[i].bottom));
}

TEST_F(stack_pool, colours_neighbours_differently) {
    std::set<std::uintptr_t> colours;
    for (int i = 0; i < 16; ++i)
        colours.insert(address(take().top) % page_size());
    EXPECT_EQ(colours.size(), 16U);
}

TEST_F(stack_pool, puts_neighbours_an_odd_number_of_pages_apart) {
    for (const std::size_t size : {minimum_stack_size, default_stack_size, default_stack_size + 1}) {
        coir::detail::stack_pool other{size};
        other.promise();
        other.promise();
        const std::byte* first = other.allocate(nullptr).bottom;
        const std::byte* second = other.allocate(nullptr).bottom;
        EXPECT_EQ((address(second) - address(first)) / page_size() % 2, 1U);
    }
}

TEST_F(stack_pool, hands_out_the_stack_that_came_back_last) {
    const stack first = take();
    const stack second = take();
    give(first);
    give(second);
    EXPECT_EQ(take().bottom, second.bottom);
    const stack again = take();
    EXPECT_EQ(again.bottom, first.bottom);
    EXPECT_EQ(again.top, first.top);
}

TEST_F(stack_pool, touches_no_more_than_the_last_page_of_what_it_hands_out) {
    const stack memory = take();
    EXPECT_EQ(pages_in_memory(memory.bottom, pool.geometry().bytes), 1U);
    EXPECT_EQ(pages_in_memory(memory.bottom + pool.geometry().bytes - page_size(), page_size()), 1U);
}

TEST_F(stack_pool, writes_the_owner_above_the_top) {
    pool.promise();
    const int first = 0;
    const stack memory = pool.allocate(&first);
    EXPECT_EQ(memory.label().owner, &first);
    touch_all(memory);
    EXPECT_EQ(memory.label().owner, &first);
    pool.deallocate(memory.bottom);
    const int second = 0;
    EXPECT_EQ(pool.allocate(&second).bottom, memory.bottom);
    EXPECT_EQ(memory.label().owner, &second);
}

TEST_F(stack_pool, makes_guards_as_large_as_asked_for) {
    for (const std::size_t pages : {std::size_t{0}, std::size_t{1}, std::size_t{2}, std::size_t{16}}) {
        coir::detail::stack_pool other{default_stack_size, pages * page_size()};
        const std::size_t guard = other.geometry().guard_bytes;
        EXPECT_GE(guard, std::max(pages * page_size(), page_size()));
        EXPECT_EQ(guard / page_size() % 2, 1U);
        for (int i = 0; i < 3; ++i) {
            other.promise();
            const stack memory = other.allocate(nullptr);
            touch_all(memory);
            EXPECT_FALSE(is_writable(memory.bottom - 1));
            EXPECT_FALSE(is_writable(memory.bottom - guard));
        }
    }
}

TEST_F(stack_pool, trims_what_exceeds_the_number_to_keep) {
    std::vector<stack> all;
    for (int i = 0; i < 10; ++i) {
        all.push_back(take());
        touch_all(all.back());
    }
    for (const stack& each : all)
        give(each);

    EXPECT_FALSE(pool.trim(10, 100)); // nothing to do
    EXPECT_TRUE(pool.trim(3, 4));     // four, and more is left
    EXPECT_FALSE(pool.trim(3, 4));    // the other three
    EXPECT_FALSE(pool.trim(3, 4));
    std::size_t with_memory = 0;
    for (const stack& each : all) {
        const std::size_t pages = pages_in_memory(each.bottom, pool.geometry().bytes);
        EXPECT_TRUE(pages == 0 || pages == pool.geometry().bytes / page_size()) << pages;
        with_memory += pages != 0 ? 1 : 0;
    }
    EXPECT_EQ(with_memory, 3U);
}

TEST_F(stack_pool, hands_trimmed_stacks_out_again_with_their_guards) {
    std::set<const std::byte*> bottoms;
    std::vector<stack> all;
    for (int i = 0; i < 10; ++i) {
        all.push_back(take());
        bottoms.insert(all.back().bottom);
    }
    for (const stack& each : all)
        give(each);
    const stack kept = take(); // or the slab would go, being empty
    pool.trim(0, 100);
    give(kept);
    for (int i = 0; i < 10; ++i) {
        const stack memory = take();
        EXPECT_TRUE(bottoms.contains(memory.bottom));
        EXPECT_FALSE(is_writable(memory.bottom - 1));
        touch_all(memory);
    }
}

TEST_F(stack_pool, keeps_its_word_when_promises_and_stacks_alternate) {
    std::vector<stack> held;
    std::set<const std::byte*> in_use;
    for (int round = 0; round < 5; ++round) {
        for (int i = 0; i < 400; ++i)
            pool.promise();
        for (int i = 0; i < 400; ++i) {
            held.push_back(pool.allocate(nullptr));
            ASSERT_TRUE(in_use.insert(held.back().bottom).second);
        }
        for (int i = 0; i < 300; ++i) {
            in_use.erase(held.back().bottom);
            give(held.back());
            held.pop_back();
        }
    }
}

TEST_F(stack_pool, unmaps_everything_at_its_end) {
    auto other = std::make_unique<coir::detail::stack_pool>(default_stack_size);
    std::vector<std::byte*> bottoms;
    for (int i = 0; i < 600; ++i) {
        other->promise();
        bottoms.push_back(other->allocate(nullptr).bottom);
        *bottoms.back() = std::byte{1};
    }
    other.reset();
    for (std::byte* bottom : bottoms) {
        unsigned char present = 0;
        ASSERT_TRUE(::mincore(bottom, page_size(), &present) == -1 && errno == ENOMEM);
    }
}

TEST_F(stack_pool, has_room_for_few_but_huge_stacks) {
    coir::detail::stack_pool other{std::size_t{1} << 30};
    for (int i = 0; i < 3; ++i) {
        other.promise();
        const stack memory = other.allocate(nullptr);
        EXPECT_TRUE(is_writable(memory.bottom));
        EXPECT_TRUE(is_writable(memory.top - 1));
        EXPECT_FALSE(is_writable(memory.bottom - 1));
    }
}

TEST_F(stack_pool, names_the_limit_that_a_size_exceeds) {
    for (const std::size_t size : {std::size_t{0}, std::size_t{1}, minimum_stack_size - 1}) {
        try {
            const coir::detail::stack_pool other{size};
            FAIL() << size;
        } catch (const std::invalid_argument& error) {
            EXPECT_NE(std::string{error.what()}.find(std::to_string(minimum_stack_size)), std::string::npos);
        }
    }
    const std::size_t largest = std::numeric_limits<std::size_t>::max();
    for (const std::size_t size : {largest, largest - page_size(), largest / 2})
        EXPECT_THROW((void)coir::detail::stack_geometry::of(size, 0), std::invalid_argument) << size;
    EXPECT_NO_THROW(coir::detail::stack_pool{minimum_stack_size});
}

TEST_F(stack_pool, trims_the_coldest_first) {
    const stack cold = take();
    const stack warm = take();
    touch_all(cold);
    touch_all(warm);
    give(cold);
    give(warm);
    pool.trim(1, 1);
    EXPECT_EQ(pages_in_memory(cold.bottom, pool.geometry().bytes), 0U);
    EXPECT_EQ(pages_in_memory(warm.bottom, pool.geometry().bytes), pool.geometry().bytes / page_size());
}

TEST_F(stack_pool, unmaps_slabs_that_nobody_uses_and_keeps_the_others) {
    std::vector<stack> all;
    for (int i = 0; i < 1000; ++i) { // several slabs
        all.push_back(take());
        touch_all(all.back());
    }
    for (const stack& each : all)
        give(each);
    const stack kept = take();
    while (pool.trim(0, 64)) {}
    std::size_t unmapped = 0;
    for (const stack& each : all) {
        unsigned char present = 0;
        const bool is_mapped = ::mincore(each.bottom, page_size(), &present) == 0;
        unmapped += is_mapped ? 0 : 1;
        EXPECT_TRUE(!is_mapped || pages_in_memory(each.bottom, pool.geometry().bytes) == 0 ||
                    each.bottom == kept.bottom);
    }
    EXPECT_GT(unmapped, 500U);
    EXPECT_LT(unmapped, 1000U);
    for (int i = 0; i < 1000; ++i)
        touch_all(take());
}

TEST_F(stack_pool, keeps_address_space_for_those_who_have_a_promise) {
    std::vector<stack> all;
    for (int i = 0; i < 1000; ++i)
        all.push_back(take());
    for (const stack& each : all)
        pool.deallocate(each.bottom); // and the promises stay
    while (pool.trim(0, 64)) {}
    for (const stack& each : all) {
        unsigned char present = 0;
        ASSERT_EQ(::mincore(each.bottom, page_size(), &present), 0) << "is not mapped";
    }
    for (int i = 0; i < 1000; ++i)
        all[static_cast<std::size_t>(i)] = pool.allocate(nullptr);
    std::sort(all.begin(), all.end(), [](const stack& a, const stack& b) { return a.bottom < b.bottom; });
    for (std::size_t i = 1; i < all.size(); ++i)
        ASSERT_LT(all[i - 1].bottom, all[i].bottom);
}

// What a burst leaves behind goes back when it has not been needed for a while; what comes and goes is left alone.
class idle_stack_pool : public stack_pool {
protected:
    static constexpr std::size_t keep = 3;

    void spawn_and_end(int count) {
        std::vector<stack> all;
        for (int i = 0; i < count; ++i) {
            all.push_back(take());
            *(all.back().top - 1) = std::byte{1};
            bottoms.insert(all.back().bottom);
        }
        for (const stack& each : all)
            give(each);
    }
    std::size_t with_memory() {
        std::size_t count = 0;
        for (std::byte* bottom : bottoms)
            count += pages_in_memory(bottom, pool.geometry().bytes) != 0 ? 1 : 0;
        return count;
    }

    static constexpr std::int64_t period = coir::detail::surplus::period;
    static constexpr std::int64_t never = coir::detail::surplus::never;
    static constexpr std::int64_t at_once = coir::detail::surplus::at_once;
    std::set<std::byte*> bottoms;
};

TEST_F(idle_stack_pool, keeps_what_has_just_been_used) {
    spawn_and_end(20);
    EXPECT_TRUE(pool.exceeds(keep));
    EXPECT_EQ(pool.trim_idle(1000, keep, 64), 1000 + period);
    EXPECT_EQ(pool.trim_idle(1000 + period - 1, keep, 64), 1000 + period);
    EXPECT_EQ(with_memory(), 20U);
}

TEST_F(idle_stack_pool, gives_back_after_a_period_what_nobody_needed) {
    spawn_and_end(20);
    pool.trim_idle(0, keep, 64);
    EXPECT_EQ(pool.trim_idle(period, keep, 64), never);
    EXPECT_EQ(with_memory(), keep);
    EXPECT_FALSE(pool.exceeds(keep));
}

TEST_F(idle_stack_pool, keeps_those_that_were_needed_meanwhile) {
    spawn_and_end(20);
    pool.trim_idle(0, keep, 64);
    spawn_and_end(12);
    EXPECT_EQ(pool.trim_idle(period, keep, 64), 2 * period); // and it watches on
    EXPECT_EQ(with_memory(), 12U + keep);
    spawn_and_end(12);
    pool.trim_idle(2 * period, keep, 64);
    EXPECT_EQ(with_memory(), 12U + keep);
    EXPECT_EQ(pool.trim_idle(3 * period, keep, 64), never);
    EXPECT_EQ(with_memory(), keep);
}

TEST_F(idle_stack_pool, gives_back_in_batches) {
    spawn_and_end(20);
    pool.trim_idle(0, keep, 8);
    EXPECT_EQ(pool.trim_idle(period, keep, 8), at_once);
    EXPECT_EQ(with_memory(), 12U);
    EXPECT_EQ(pool.trim_idle(period, keep, 8), at_once);
    EXPECT_EQ(pool.trim_idle(period, keep, 8), never);
    EXPECT_EQ(with_memory(), keep);
}

TEST_F(idle_stack_pool, has_nothing_to_wait_for_within_the_number_to_keep) {
    spawn_and_end(keep);
    EXPECT_EQ(pool.trim_idle(0, keep, 64), never);
}

// Deep use that happened once is not kept by all who come later.
class reused_stack : public stack_pool {
protected:
    std::size_t pages(const stack& memory) { return pages_in_memory(memory.bottom, pool.geometry().bytes); }
};

TEST_F(reused_stack, loses_what_lies_below_its_top_pages) {
    const stack memory = take();
    touch_all(memory);
    EXPECT_EQ(pages(memory), 32U);
    give(memory);
    EXPECT_EQ(pages(memory), 32U); // the next may not come
    EXPECT_EQ(take().bottom, memory.bottom);
    EXPECT_EQ(pages(memory), 4U);
    EXPECT_EQ(*(memory.top - 1), std::byte{1}); // never the last page
}

TEST_F(reused_stack, keeps_a_few_pages_without_a_system_call_to_drop_them) {
    const stack memory = take();
    std::memset(memory.top - 3 * page_size(), 1, 3 * page_size());
    const std::size_t before = pages(memory);
    give(memory);
    (void)take();
    EXPECT_EQ(pages(memory), before);
}

TEST_F(reused_stack, is_looked_at_less_and_less_often_and_then_no_more) {
    const stack memory = take();
    int looks = 0;
    for (int use = 1; use <= 5000; ++use) {
        touch_all(memory);
        give(memory);
        (void)take();
        looks += pages(memory) == 4 ? 1 : 0;
    }
    EXPECT_EQ(looks, 10); // 1, 2, 4, … 512
}

TEST_F(reused_stack, of_the_smallest_size_is_treated_alike) {
    coir::detail::stack_pool small{minimum_stack_size};
    small.promise();
    const stack memory = small.allocate(nullptr);
    touch_all(memory);
    small.deallocate(memory.bottom);
    (void)small.allocate(nullptr);
    EXPECT_EQ(pages_in_memory(memory.bottom, small.geometry().bytes), 4U);
}

TEST(stack_pools, has_one_pool_for_each_rounded_size) {
    stack_pools pools{default_stack_size};
    EXPECT_EQ(&pools.of_default_size(), &pools.of_size(default_stack_size));
    EXPECT_EQ(&pools.of_size(default_stack_size - 1), &pools.of_default_size());
    EXPECT_NE(&pools.of_size(default_stack_size + 1024), &pools.of_default_size());
    auto& small = pools.of_size(minimum_stack_size);
    for (std::size_t pages = 6; pages < 40; pages += 2)
        (void)pools.of_size(pages * page_size());
    EXPECT_EQ(&pools.of_size(minimum_stack_size), &small);
    EXPECT_THROW((void)pools.of_size(minimum_stack_size - 1), std::invalid_argument);
}

TEST(stack_pools, trims_all_of_them) {
    stack_pools pools{default_stack_size};
    for (const std::size_t size : {minimum_stack_size, default_stack_size}) {
        auto& pool = pools.of_size(size);
        std::vector<stack> all;
        for (int i = 0; i < 5; ++i) {
            pool.promise();
            all.push_back(pool.allocate(nullptr));
        }
        for (const stack& each : all) {
            pool.deallocate(each.bottom);
            pool.end_promise();
        }
    }
    EXPECT_TRUE(pools.trim(1, 2));
    EXPECT_TRUE(pools.trim(1, 1));
    EXPECT_FALSE(pools.trim(1, 1));
}

} // namespace
