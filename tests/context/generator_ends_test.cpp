// A generator whose function ends before its elements do: by an exception, or because nobody wants them.

#include "context/generator_elements.hpp"

#include <coir/cancelled.hpp>
#include <coir/generator.hpp>

#include <gtest/gtest.h>

#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace {

using coir::generator;

generator<int> count_to(int last) {
    return [last](auto& yield) {
        for (int i = 1; i <= last; ++i)
            yield(i);
    };
}

generator<int> fails_after(int elements) {
    return [elements](auto& yield) {
        for (int i = 1; i <= elements; ++i)
            yield(i);
        throw std::runtime_error("after " + std::to_string(elements));
    };
}

TEST(generator_ends, passes_on_an_exception_before_the_first_element) {
    generator<int> numbers = fails_after(0);
    EXPECT_THROW(static_cast<void>(numbers.begin()), std::runtime_error);
    EXPECT_THROW(static_cast<void>(numbers.begin()), std::logic_error);
}

TEST(generator_ends, passes_on_an_exception_between_elements_and_ends) {
    generator<int> numbers = fails_after(2);
    auto here = numbers.begin();
    ++here;
    EXPECT_EQ(*here, 2);
    try {
        ++here;
        FAIL();
    } catch (const std::runtime_error& error) {
        EXPECT_STREQ(error.what(), "after 2");
        EXPECT_EQ(std::uncaught_exceptions(), 0);
    }
    EXPECT_TRUE(here == numbers.end());
    EXPECT_THROW(++here, std::logic_error);
}

TEST(generator_ends, that_yields_while_it_handles_an_exception_keeps_it) {
    generator<int> numbers = [](auto& yield) {
        try {
            throw std::runtime_error("inside");
        } catch (const std::runtime_error&) {
            yield(1);
            try {
                throw;
            } catch (const std::runtime_error& again) {
                yield(2);
                EXPECT_STREQ(again.what(), "inside");
            }
        }
        EXPECT_EQ(std::current_exception(), nullptr);
    };
    try {
        throw std::logic_error("outside");
    } catch (const std::logic_error& error) {
        for ([[maybe_unused]] int each : numbers)
            EXPECT_THROW(throw, std::logic_error);
    }
    EXPECT_EQ(std::current_exception(), nullptr);
}

struct yields_at_end {
    generator<int>::yielder& yield;
    ~yields_at_end() {
        const int before = std::uncaught_exceptions();
        yield(before);
        EXPECT_EQ(std::uncaught_exceptions(), before);
    }
};

TEST(generator_ends, may_yield_while_it_unwinds) {
    generator<int> counts = [](auto& yield) {
        try {
            const yields_at_end first{yield};
            const yields_at_end second{yield};
            throw std::runtime_error("inside");
        } catch (const std::runtime_error&) {}
        const yields_at_end last{yield};
    };
    EXPECT_EQ(all_of(std::move(counts)), (std::vector{1, 1, 0}));
}

void yield_at_depth(int depth, generator<int>::yielder& yield, const std::shared_ptr<int>& alive) { // NOLINT
    const std::shared_ptr<int> mine = alive;
    if (depth == 0)
        yield(1);
    else
        yield_at_depth(depth - 1, yield, mine);
    ADD_FAILURE() << "went on";
}

TEST(generator_ends, unwinds_all_calls_of_its_function_when_it_is_destroyed) {
    const auto alive = std::make_shared<int>(0);
    for (int element : generator<int>{[&](auto& yield) { yield_at_depth(10, yield, alive); }}) {
        EXPECT_EQ(element, 1);
        EXPECT_EQ(alive.use_count(), 12);
        break;
    }
    EXPECT_EQ(alive.use_count(), 1);
}

TEST(generator_ends, unwinds_when_it_is_replaced) {
    const auto alive = std::make_shared<int>(0);
    generator<int> numbers = [&](auto& yield) { yield_at_depth(0, yield, alive); };
    static_cast<void>(numbers.begin());
    EXPECT_EQ(alive.use_count(), 2);
    numbers = count_to(3);
    EXPECT_EQ(alive.use_count(), 1);
    EXPECT_EQ(all_of(std::move(numbers)).size(), 3U);
}

TEST(generator_ends, that_was_never_begun_only_destroys_its_function) {
    const auto alive = std::make_shared<int>(0);
    {
        const generator<int> numbers = [alive](auto& yield) { yield(*alive); };
        EXPECT_EQ(alive.use_count(), 2);
    }
    EXPECT_EQ(alive.use_count(), 1);
}

TEST(generator_ends, is_destroyed_also_when_it_refuses_to_end) {
    int swallowed = 0;
    {
        generator<int> stubborn = [&](auto& yield) {
            for (int i = 0; i < 10; ++i) {
                try {
                    yield(i);
                } catch (...) {
                    ++swallowed;
                }
            }
        };
        static_cast<void>(stubborn.begin());
    }
    EXPECT_EQ(swallowed, 10);
}

TEST(generator_ends, is_unwound_by_an_exception_of_its_consumer_and_may_yield_to_nobody_meanwhile) {
    bool unwound = false;
    try {
        for (int each : generator<int>{[&](auto& yield) {
                 try {
                     const yields_at_end at_end{yield};
                     yield(1);
                 } catch (const coir::cancelled&) {
                     EXPECT_EQ(std::uncaught_exceptions(), 0);
                     unwound = true;
                     throw;
                 }
             }})
            throw each;
        FAIL();
    } catch (int each) {
        EXPECT_EQ(each, 1);
    }
    EXPECT_TRUE(unwound);
    EXPECT_EQ(std::uncaught_exceptions(), 0);
}

} // namespace
