#include "base/block_pool.hpp"

#include "child_process.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <future>
#include <optional>
#include <random>
#include <set>
#include <sys/mman.h>
#include <thread>
#include <utility>
#include <vector>

namespace {

bool is_mapped(void* where) {
    auto* const page = reinterpret_cast<void*>(reinterpret_cast<std::uintptr_t>(where) / 4096 * 4096);
    unsigned char unused = 0;
    return ::mincore(page, 4096, &unused) == 0;
}

constexpr std::int64_t period = coir::detail::surplus::period;

class block_pool : public testing::Test {
protected:
    std::vector<void*> allocate(int count, std::size_t size) {
        std::vector<void*> made;
        for (int i = 0; i < count; ++i) {
            made.push_back(blocks->allocate(size));
            std::memset(made.back(), i, size);
        }
        return made;
    }
    void deallocate(const std::vector<void*>& all, std::size_t size) {
        for (void* each : all)
            blocks->deallocate(each, size);
    }

    std::optional<coir::detail::block_pool> blocks{std::in_place};
};

TEST_F(block_pool, hands_out_the_block_that_came_back_last) {
    const std::vector<void*> made = allocate(2, 200);
    deallocate(made, 200);
    EXPECT_EQ(blocks->allocate(200), made[1]);
    EXPECT_EQ(blocks->allocate(200), made[0]);
    deallocate(made, 200);
}

TEST_F(block_pool, aligns_blocks_as_operator_new_does) {
    std::vector<std::pair<void*, std::size_t>> held;
    for (std::size_t size = 1; size <= 1500; size += 7) {
        held.emplace_back(blocks->allocate(size), size);
        EXPECT_EQ(reinterpret_cast<std::uintptr_t>(held.back().first) % 16, 0U);
    }
    for (const auto& [block, size] : held)
        blocks->deallocate(block, size);
}

TEST_F(block_pool, gives_usable_blocks_of_every_size) {
    for (int round = 0; round < 2; ++round) {
        std::vector<std::pair<void*, std::size_t>> held;
        for (std::size_t size = 1; size <= 1200; size = size < 70 ? size + 1 : size + 13) {
            held.emplace_back(blocks->allocate(size), size);
            std::memset(held.back().first, round, size);
        }
        for (const auto& [block, size] : held)
            blocks->deallocate(block, size);
    }
}

TEST_F(block_pool, never_gives_one_block_twice) {
    std::minstd_rand random{3};
    std::vector<std::pair<unsigned char*, std::size_t>> held;
    unsigned char mark = 0;
    std::vector<unsigned char> marks;
    for (int step = 0; step < 50'000; ++step) {
        if (random() % 100 < 51) {
            const std::size_t size = 1 + random() % 1100;
            held.emplace_back(static_cast<unsigned char*>(blocks->allocate(size)), size);
            marks.push_back(++mark);
            std::memset(held.back().first, mark, size);
        } else if (!held.empty()) {
            const std::size_t chosen = random() % held.size();
            std::swap(held[chosen], held.back());
            std::swap(marks[chosen], marks.back());
            const auto [block, size] = held.back();
            ASSERT_EQ(block[0], marks.back());
            ASSERT_EQ(block[size - 1], marks.back());
            blocks->deallocate(block, size);
            held.pop_back();
            marks.pop_back();
        }
    }
    for (const auto& [block, size] : held)
        blocks->deallocate(block, size);
}

TEST_F(block_pool, gives_back_chunks_that_were_empty_for_a_while) {
    const std::vector<void*> made = allocate(50'000, 200);
    deallocate(made, 200);
    EXPECT_TRUE(blocks->exceeds(1));
    EXPECT_EQ(blocks->trim_idle(0, 1, 1000), period);
    for (void* each : made)
        ASSERT_TRUE(is_mapped(each));
    EXPECT_EQ(blocks->trim_idle(period, 1, 1000), coir::detail::surplus::never);
    std::size_t mapped = 0;
    for (void* each : made)
        mapped += is_mapped(each) ? 1 : 0;
    EXPECT_LT(mapped, 11'000U); // two chunks at most, with some 5,000 each
    deallocate(allocate(50'000, 200), 200);
}

TEST_F(block_pool, keeps_chunks_with_a_block_in_use) {
    std::vector<void*> made = allocate(50'000, 200);
    void* const kept = made[25'000];
    made.erase(made.begin() + 25'000);
    deallocate(made, 200);
    blocks->trim_idle(0, 0, 1000);
    blocks->trim_idle(period, 0, 1000);
    std::memset(kept, 1, 200);
    blocks->deallocate(kept, 200);
}

TEST_F(block_pool, cuts_an_empty_chunk_anew_for_another_size) {
    const std::vector<void*> made = allocate(50'000, 200);
    deallocate(made, 200);
    std::set<std::uintptr_t> chunks;
    for (void* each : made)
        chunks.insert(reinterpret_cast<std::uintptr_t>(each) >> 20);
    const std::vector<void*> larger = allocate(100, 640);
    for (void* each : larger)
        EXPECT_TRUE(chunks.contains(reinterpret_cast<std::uintptr_t>(each) >> 20));
    deallocate(larger, 640);
}

TEST_F(block_pool, may_end_before_its_blocks) {
    const std::vector<void*> made = allocate(1000, 200);
    blocks.reset();
    for (std::size_t i = 0; i < made.size(); ++i) {
        std::memset(made[i], 1, 200);
        coir::detail::block_pool::deallocate_elsewhere(made[i], 200);
    }
    for (void* each : made)
        EXPECT_FALSE(is_mapped(each));
}

TEST_F(block_pool, takes_blocks_that_another_pool_made) {
    coir::detail::block_pool other;
    for (void* each : allocate(1000, 100))
        other.deallocate(each, 100);
    const std::vector<void*> again = allocate(1000, 100); // and they come back to the first
    std::set<void*> distinct{again.begin(), again.end()};
    EXPECT_EQ(distinct.size(), 1000U);
    deallocate(again, 100);
}

TEST_F(block_pool, takes_back_what_other_threads_free) {
    std::set<std::uintptr_t> chunks;
    for (int round = 0; round < 50; ++round) {
        const std::vector<void*> made = allocate(10'000, 200);
        for (void* each : made)
            chunks.insert(reinterpret_cast<std::uintptr_t>(each) >> 20);
        std::thread{[&made] {
            for (void* each : made)
                coir::detail::block_pool::deallocate_elsewhere(each, 200);
        }}.join();
    }
    EXPECT_LT(chunks.size(), 10U); // and not 50 times two or three
}

TEST_F(block_pool, may_end_while_other_threads_free) {
    for (int round = 0; round < 100; ++round) {
        blocks.emplace();
        std::array<std::vector<void*>, 2> made{allocate(500, 200), allocate(500, 200)};
        std::array<std::thread, 2> others;
        for (std::size_t t = 0; t < 2; ++t)
            others[t] = std::thread{[&mine = made[t]] {
                for (void* each : mine)
                    coir::detail::block_pool::deallocate_elsewhere(each, 200);
            }};
        blocks.reset();
        for (std::thread& each : others)
            each.join();
    }
}

// A lock that another thread holds at the moment of fork() stays locked in the child.
TEST_F(block_pool, can_be_used_in_a_child_whatever_other_threads_were_doing) {
    for (int round = 0; round < 50; ++round) {
        const std::vector<void*> made = allocate(2000, 200);
        std::promise<void> all_freed;
        const std::future<void> freed = all_freed.get_future();
        // Detached: a thread that could be joined, but is not in the child, is a leak to ThreadSanitizer.
        std::thread{[&made, done = std::move(all_freed)]() mutable {
            for (void* each : made)
                coir::detail::block_pool::deallocate_elsewhere(each, 200);
            done.set_value();
        }}.detach();
        const child_end end = in_child([this] {
            (void)allocate(10'000, 200); // looks at what has been freed
            blocks.reset();
            return true;
        });
        freed.wait();
        ASSERT_TRUE(end.exited_well()) << end.status << ' ' << end.errors;
    }
}

TEST_F(block_pool, leaves_large_blocks_to_operator_new) {
    void* const block = blocks->allocate(100'000);
    std::memset(block, 1, 100'000);
    blocks.reset();
    coir::detail::block_pool::deallocate_elsewhere(block, 100'000);
}

} // namespace
