#include "base/ring.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <deque>
#include <random>

namespace {

using coir::detail::ring;

std::array<int, 1000> numbers;

TEST(ring, is_empty_at_first) {
    const ring<int> queue;
    EXPECT_TRUE(queue.empty());
    EXPECT_EQ(queue.size(), 0U);
}

TEST(ring, pops_in_the_order_of_pushes) {
    ring<int> queue;
    queue.reserve(3);
    for (std::size_t i = 0; i < 3; ++i)
        queue.push(&numbers[i]);
    EXPECT_EQ(queue.size(), 3U);
    for (std::size_t i = 0; i < 3; ++i)
        EXPECT_EQ(queue.pop(), &numbers[i]);
    EXPECT_TRUE(queue.empty());
}

TEST(ring, keeps_the_order_across_the_end_of_its_array) {
    ring<int> queue;
    queue.reserve(3);
    std::size_t pushed = 0;
    std::size_t popped = 0;
    for (; pushed < 3; ++pushed)
        queue.push(&numbers[pushed]);
    for (int turn = 0; turn < 10'000; ++turn) {
        ASSERT_EQ(queue.pop(), &numbers[popped++ % numbers.size()]);
        queue.push(&numbers[pushed++ % numbers.size()]);
        ASSERT_EQ(queue.size(), 3U);
    }
}

TEST(ring, keeps_the_order_when_it_grows_while_wrapped_around) {
    ring<int> queue;
    queue.reserve(64);
    for (std::size_t i = 0; i < 40; ++i)
        queue.push(&numbers[0]);
    for (std::size_t i = 0; i < 40; ++i)
        EXPECT_EQ(queue.pop(), &numbers[0]);
    for (std::size_t i = 0; i < 64; ++i) // now it is full, and begins in the middle of its array
        queue.push(&numbers[i]);

    queue.reserve(65);
    for (std::size_t i = 64; i < 128; ++i)
        queue.push(&numbers[i]);
    for (std::size_t i = 0; i < 128; ++i)
        ASSERT_EQ(queue.pop(), &numbers[i]);
    EXPECT_TRUE(queue.empty());
}

TEST(ring, shows_who_comes_later) {
    ring<int> queue;
    queue.reserve(64);
    for (std::size_t i = 0; i < 60; ++i)
        queue.push(&numbers[i]);
    for (std::size_t i = 0; i < 60; ++i)
        (void)queue.pop();
    for (std::size_t i = 0; i < 10; ++i)
        queue.push(&numbers[i]);
    for (std::size_t ahead = 0; ahead < 10; ++ahead)
        EXPECT_EQ(queue.peek(ahead), &numbers[ahead]);
    EXPECT_EQ(queue.size(), 10U);
}

TEST(ring, can_be_filled_to_what_was_reserved_and_not_only_once) {
    ring<int> queue;
    for (const std::size_t count : {1U, 63U, 64U, 65U, 1000U}) {
        queue.reserve(count);
        queue.reserve(1); // never shrinks
        for (int round = 0; round < 3; ++round) {
            for (std::size_t i = 0; i < count; ++i)
                queue.push(&numbers[i]);
            EXPECT_EQ(queue.size(), count);
            for (std::size_t i = 0; i < count; ++i)
                ASSERT_EQ(queue.pop(), &numbers[i]);
        }
    }
}

TEST(ring, behaves_as_a_deque_does) {
    std::minstd_rand random{7};
    ring<int> queue;
    std::deque<int*> model;
    for (int step = 0; step < 100'000; ++step) {
        // Phases of growing and of shrinking.
        if (random() % 16 < (step / 5000 % 2 == 0 ? 9U : 7U)) {
            int* element = &numbers[random() % numbers.size()];
            queue.reserve(model.size() + 1);
            queue.push(element);
            model.push_back(element);
        } else if (!model.empty()) {
            ASSERT_EQ(queue.pop(), model.front());
            model.pop_front();
        }
        ASSERT_EQ(queue.size(), model.size());
        if (!model.empty()) {
            const std::size_t ahead = random() % model.size();
            ASSERT_EQ(queue.peek(ahead), model[ahead]);
        }
    }
}

TEST(ring, pops_from_either_end) {
    ring<int> queue;
    queue.reserve(64);
    for (std::size_t i = 0; i < 60; ++i)
        queue.push(&numbers[i]);
    for (std::size_t round = 0; round < 200; ++round) { // around the end of the array
        ASSERT_EQ(queue.pop(), &numbers[0 + round]);
        queue.push(&numbers[60 + round]);
        ASSERT_EQ(queue.pop_newest(), &numbers[60 + round]);
        queue.push(&numbers[60 + round]);
    }
    for (std::size_t i = 0; i < 60; ++i)
        EXPECT_EQ(queue.pop_newest(), &numbers[259 - i]);
    EXPECT_TRUE(queue.empty());
}

TEST(ring, replaces_what_is_in_it) {
    ring<int> queue;
    queue.reserve(64);
    EXPECT_EQ(queue.capacity(), 64U);
    std::size_t place = 0;
    for (std::size_t i = 0; i < 100; ++i) { // around the end of the array
        queue.push(&numbers[i]);
        if (queue.size() == 50) {
            place = queue.pushed();
            queue.push(&numbers[200]);
            queue.replace(place, &numbers[201]);
            EXPECT_EQ(queue.newest(), &numbers[201]);
            queue.reserve(100); // places stay valid
            queue.push(&numbers[202]);
            queue.replace(place, &numbers[203]);
            EXPECT_EQ(queue.pop_newest(), &numbers[202]);
            EXPECT_EQ(queue.pop_newest(), &numbers[203]);
        }
        if (i >= 49) {
            EXPECT_EQ(queue.pop(), &numbers[i - 49]);
        }
    }
}

} // namespace
