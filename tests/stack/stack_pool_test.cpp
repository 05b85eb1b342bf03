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
        return pool.allocate();
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

TEST_F(stack_pool, gives_what_was_asked_for_but_less_than_a_kibibyte_of_colour) {
    for (const std::size_t size : {minimum_stack_size, std::size_t{20'000}, default_stack_size, std::size_t{1} << 20}) {
        coir::detail::stack_pool other{size};
        other.promise();
        const stack memory = other.allocate();
        EXPECT_GE(memory.size() + 1024, size);
        EXPECT_LT(memory.size(), size + 2 * page_size());
        touch_all(memory);
    }
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
        const std::byte* first = other.allocate().bottom;
        const std::byte* second = other.allocate().bottom;
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

TEST_F(stack_pool, does_not_touch_what_it_hands_out) {
    const stack memory = take();
    EXPECT_EQ(pages_in_memory(memory.bottom, pool.stack_size()), 0U);
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
        const std::size_t pages = pages_in_memory(each.bottom, pool.stack_size());
        EXPECT_TRUE(pages == 0 || pages == pool.stack_size() / page_size()) << pages;
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
    pool.trim(0, 100);
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
            held.push_back(pool.allocate());
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
        bottoms.push_back(other->allocate().bottom);
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
        const stack memory = other.allocate();
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
        EXPECT_THROW((void)coir::detail::stack_pool::rounded_size(size), std::invalid_argument) << size;
    EXPECT_NO_THROW(coir::detail::stack_pool{minimum_stack_size});
}

TEST(stack_pools, has_one_pool_for_each_rounded_size) {
    stack_pools pools{default_stack_size};
    EXPECT_EQ(&pools.of_default_size(), &pools.of_size(default_stack_size));
    EXPECT_EQ(&pools.of_size(default_stack_size - 1), &pools.of_default_size());
    EXPECT_NE(&pools.of_size(default_stack_size + 1), &pools.of_default_size());
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
            all.push_back(pool.allocate());
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
