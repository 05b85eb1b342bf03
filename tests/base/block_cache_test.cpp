#include "base/block_cache.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstring>
#include <random>
#include <set>
#include <utility>
#include <vector>

// Every test is also one of AddressSanitizer's: it counts the blocks and knows their sizes.
namespace {

class block_cache : public testing::Test {
protected:
    coir::detail::block_cache blocks;
};

TEST_F(block_cache, hands_out_the_block_that_came_back_last) {
    void* first = blocks.allocate(200);
    void* second = blocks.allocate(200);
    blocks.deallocate(first, 200);
    blocks.deallocate(second, 200);
    EXPECT_EQ(blocks.allocate(200), second);
    EXPECT_EQ(blocks.allocate(200), first);
    blocks.deallocate(first, 200);
    blocks.deallocate(second, 200);
}

TEST_F(block_cache, gives_a_block_to_who_asks_for_a_little_more) {
    void* block = blocks.allocate(129);
    blocks.deallocate(block, 129);
    void* larger = blocks.allocate(144); // of the same class: 129 to 144 bytes
    EXPECT_EQ(larger, block);
    std::memset(larger, 1, 144);
    blocks.deallocate(larger, 144);
}

TEST_F(block_cache, gives_usable_blocks_of_every_size) {
    for (int round = 0; round < 2; ++round) {
        std::vector<std::pair<void*, std::size_t>> held;
        for (std::size_t size = 1; size <= 1200; size = size < 70 ? size + 1 : size + 13) {
            held.emplace_back(blocks.allocate(size), size);
            std::memset(held.back().first, round, size);
        }
        for (const auto& [block, size] : held)
            blocks.deallocate(block, size);
    }
}

TEST_F(block_cache, never_gives_one_block_twice) {
    std::minstd_rand random{3};
    std::vector<std::pair<void*, std::size_t>> held;
    std::set<void*> addresses;
    for (int step = 0; step < 20'000; ++step) {
        if (random() % 2 == 0) {
            const std::size_t size = 1 + random() % 600;
            void* block = blocks.allocate(size);
            std::memset(block, 1, size);
            ASSERT_TRUE(addresses.insert(block).second);
            held.emplace_back(block, size);
        } else if (!held.empty()) {
            std::swap(held[random() % held.size()], held.back());
            const auto [block, size] = held.back();
            held.pop_back();
            addresses.erase(block);
            blocks.deallocate(block, size);
        }
    }
    for (const auto& [block, size] : held)
        blocks.deallocate(block, size);
}

TEST_F(block_cache, takes_blocks_that_another_cache_made) {
    coir::detail::block_cache other;
    for (int i = 0; i < 100; ++i)
        other.deallocate(blocks.allocate(100), 100);
    void* block = other.allocate(128);
    std::memset(block, 1, 128);
    other.deallocate(block, 128);
}

TEST_F(block_cache, makes_blocks_that_operator_delete_takes) {
    for (const std::size_t size : {8U, 100U, 512U, 513U, 100'000U})
        ::operator delete(blocks.allocate(size));
}

} // namespace
