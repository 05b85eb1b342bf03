// Generators whose consumer is a fiber: the function may block, and is cancelled with the fiber.

#include "context/generator_elements.hpp"

#include <coir/cancelled.hpp>
#include <coir/fiber.hpp>
#include <coir/generator.hpp>
#include <coir/run.hpp>
#include <coir/this_fiber.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>

namespace {

using coir::generator;

TEST(generator_in_a_fiber, may_block) {
    coir::run([] {
        std::string order;
        coir::fiber<void> other = coir::spawn([&] {
            for (int i = 0; i < 3; ++i) {
                order += 'o';
                coir::this_fiber::yield();
            }
        });
        generator<char> letters = [](auto& yield) {
            for (char letter = 'a'; letter < 'd'; ++letter) {
                coir::this_fiber::yield();
                yield(letter);
            }
        };
        for (char letter : letters)
            order += letter;
        other.join();
        EXPECT_EQ(order, "oaoboc");
    });
}

TEST(generator_in_a_fiber, that_blocks_is_refused_to_other_fibers) {
    coir::run([] {
        generator<int> numbers = [](auto& yield) {
            yield(1);
            coir::this_fiber::yield();
            yield(2);
        };
        auto here = numbers.begin();
        coir::fiber<void> user = coir::spawn([&] { ++here; });
        coir::this_fiber::yield(); // now it is in there
        EXPECT_EQ(message_of([&] { ++here; }), "coir: use of a generator while its function runs");
        EXPECT_EQ(message_of([&] { static_cast<void>(*here); }), "coir: use of a generator while its function runs");
        user.join();
        EXPECT_EQ(*here, 2);
    });
}

TEST(generator_in_a_fiber, passes_on_the_cancellation_of_its_fiber) {
    coir::run([] {
        const auto alive = std::make_shared<int>(0);
        coir::fiber<void> worker = coir::spawn([alive] {
            for ([[maybe_unused]] int each : generator<int>{[alive](auto& yield) {
                     for (;;) {
                         yield(1);
                         coir::this_fiber::yield();
                     }
                 }}) {}
        });
        coir::this_fiber::yield();
        worker.cancel();
        EXPECT_THROW(worker.join(), coir::cancelled);
        EXPECT_EQ(alive.use_count(), 1);
    });
}

} // namespace
