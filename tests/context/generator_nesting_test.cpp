// A generator that yields the elements of others: in order, at any depth, and each exception where it belongs.

#include "child_process.hpp"
#include "context/generator_elements.hpp"

#include <coir/cancelled.hpp>
#include <coir/context.hpp>
#include <coir/generator.hpp>

#include <gtest/gtest.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace {

using coir::elements_of;
using coir::generator;

generator<int> count(int first, int last) {
    return [=](auto& yield) {
        for (int i = first; i <= last; ++i)
            yield(i);
    };
}

TEST(generator_nesting, yields_the_elements_of_others_in_place) {
    EXPECT_EQ(all_of([](auto& yield) {
                  yield(elements_of(count(1, 0))); // none at all
                  yield(1);
                  yield(elements_of(count(2, 4)));
                  yield(elements_of(count(5, 5)));
                  yield(6);
                  generator<int> named = count(7, 8);
                  yield(elements_of(named));
              }),
              (std::vector{1, 2, 3, 4, 5, 6, 7, 8}));
}

TEST(generator_nesting, yields_the_elements_of_other_ranges) {
    EXPECT_EQ(all_of([](auto& yield) {
                  const std::vector<int> numbers{1, 2};
                  yield(elements_of(numbers));
                  yield(elements_of(std::array<short, 2>{3, 4}));
                  generator<const int&> references = [](auto& inner) { inner(5); };
                  yield(elements_of(references));
              }),
              (std::vector{1, 2, 3, 4, 5}));
}

// Each number at its own depth: n, n-1, ... 1, 0, 1, ... n.
generator<int> down_and_up(int depth) { // NOLINT(misc-no-recursion)
    return [depth](auto& yield) {
        yield(depth);
        if (depth > 0) {
            yield(elements_of(down_and_up(depth - 1)));
            yield(depth);
        }
    };
}

TEST(generator_nesting, goes_as_deep_as_there_is_memory) {
    int previous = 1001;
    int elements = 0;
    for (int each : down_and_up(1000)) {
        EXPECT_EQ(std::abs(each - previous), 1);
        previous = each;
        ++elements;
    }
    EXPECT_EQ(elements, 2001);
}

// A step of the innermost function does not pass through the functions around it, which would show in their number of
// switches: each would have to notice that it runs.
TEST(generator_nesting, does_not_wake_the_functions_around) {
    int wakings = 0;
    generator<int> outer = [&](auto& yield) {
        yield(elements_of(generator<int>{[&](auto& inner) {
            inner(elements_of(count(1, 3)));
            ++wakings;
        }}));
        ++wakings;
    };
    auto here = outer.begin();
    for (int i = 1; i <= 3; ++i, ++here) {
        EXPECT_EQ(*here, i);
        EXPECT_EQ(wakings, 0);
    }
    EXPECT_EQ(wakings, 2);
    EXPECT_TRUE(here == outer.end());
}

TEST(generator_nesting, is_used_up_by_it) {
    generator<int> inner = count(1, 2);
    EXPECT_EQ(all_of([&](auto& yield) { yield(elements_of(inner)); }).size(), 2U);
    EXPECT_THROW(static_cast<void>(inner.begin()), std::logic_error);
}

TEST(generator_nesting, refuses_a_generator_that_has_begun) {
    generator<int> begun = count(1, 3);
    auto here = begun.begin();
    std::string log;
    EXPECT_EQ(all_of([&](auto& yield) {
                  try {
                      yield(elements_of(begun));
                  } catch (const std::logic_error& error) {
                      log = error.what();
                  }
                  yield(7);
              }),
              std::vector{7});
    EXPECT_EQ(log, "coir: a generator is begun a second time");
    EXPECT_EQ(*here, 1);
}

TEST(generator_nesting, refuses_the_generator_itself) {
    std::string log;
    generator<int> numbers = [&](auto& yield) {
        try {
            yield(elements_of(numbers));
        } catch (const std::logic_error& error) {
            log = error.what();
        }
    };
    EXPECT_TRUE(numbers.begin() == numbers.end());
    EXPECT_EQ(log, "coir: use of a generator while its function runs");
}

generator<int> fails_after(int elements) {
    return [elements](auto& yield) {
        yield(elements_of(count(1, elements)));
        throw std::runtime_error("inner");
    };
}

TEST(generator_nesting, passes_an_exception_to_the_function_around) {
    for (const int elements : {0, 1, 3}) {
        std::string log;
        const std::vector<int> seen = all_of([&](auto& yield) {
            try {
                yield(elements_of(fails_after(elements)));
            } catch (const std::runtime_error& error) {
                log = error.what();
                yield(-1); // still inside the handler
                EXPECT_STREQ(error.what(), "inner");
            }
            yield(-2);
        });
        EXPECT_EQ(log, "inner");
        EXPECT_EQ(seen.size(), static_cast<std::size_t>(elements) + 2);
        EXPECT_EQ(seen.back(), -2);
    }
}

TEST(generator_nesting, passes_an_exception_through_all_to_the_consumer) {
    generator<int> numbers = [](auto& yield) {
        yield(elements_of(generator<int>{[](auto& middle) { middle(elements_of(fails_after(1))); }}));
    };
    auto here = numbers.begin();
    EXPECT_EQ(*here, 1);
    EXPECT_THROW(++here, std::runtime_error);
    EXPECT_TRUE(here == numbers.end());
    EXPECT_THROW(++here, std::logic_error);
}

TEST(generator_nesting, unwinds_all_from_the_inside_out_when_the_outermost_is_destroyed) {
    std::string order;
    struct logs {
        std::string& log;
        char name;
        ~logs() { log += name; }
    };
    {
        generator<int> numbers = [&](auto& yield) {
            const logs outer{order, 'o'};
            yield(elements_of(generator<int>{[&](auto& middle_yield) {
                const logs middle{order, 'm'};
                middle_yield(elements_of(generator<int>{[&](auto& inner_yield) {
                    const logs inner{order, 'i'};
                    inner_yield(1);
                }}));
            }}));
        };
        EXPECT_EQ(*numbers.begin(), 1);
    }
    // The frame of the function around ends before the temporary in it: each inner generator is destroyed by it.
    EXPECT_EQ(order, "imo");
}

TEST(generator_nesting, leaves_one_that_lives_elsewhere_suspended_when_the_outermost_is_destroyed) {
    const auto alive = std::make_shared<int>(0);
    {
        generator<int> inner = [alive](auto& yield) {
            const auto mine = alive;
            yield(1);
        };
        {
            generator<int> outer = [&](auto& yield) { yield(elements_of(inner)); };
            EXPECT_EQ(*outer.begin(), 1);
        }
        EXPECT_EQ(alive.use_count(), 3);
    }
    EXPECT_EQ(alive.use_count(), 1);
}

TEST(generator_nesting, in_a_destructor_that_runs_while_it_is_destroyed_yields_to_nobody) {
    bool inner_ran = false;
    {
        struct yields_at_end {
            generator<int>::yielder& yield;
            bool& ran;
            ~yields_at_end() {
                yield(elements_of(generator<int>{[this](auto& inner) {
                    ran = true;
                    inner(2);
                }}));
            }
        };
        generator<int> numbers = [&](auto& yield) {
            const yields_at_end at_end{yield, inner_ran};
            yield(1);
        };
        EXPECT_EQ(*numbers.begin(), 1);
    }
    EXPECT_FALSE(inner_ran);
}

TEST(generator_nesting, may_be_moved_while_an_inner_function_is_suspended) {
    generator<int> numbers = down_and_up(2);
    auto here = numbers.begin();
    ++here;
    ++here;
    const generator<int> moved = std::move(numbers);
    std::vector<int> rest;
    for (; here != moved.end(); ++here)
        rest.push_back(*here);
    EXPECT_EQ(rest, (std::vector{0, 1, 2}));
}

TEST(generator_nesting, uses_contexts_and_generators_of_its_own_in_between) {
    EXPECT_EQ(all_of([](auto& yield) {
                  int sum = 0;
                  for (int each : count(1, 3)) { // consumed, not passed on
                      coir::context adds{[&](coir::context::self& self) {
                          sum += each;
                          self.suspend();
                      }};
                      adds.resume();
                      yield(sum);
                  }
                  yield(elements_of(count(1, sum)));
              }),
              (std::vector{1, 3, 6, 1, 2, 3, 4, 5, 6}));
}

child_end destroy_from_inside(bool named) {
    return in_child([named] {
        std::optional<generator<int>> outer;
        generator<int> inner = [&](auto& yield) {
            yield(1);
            outer.reset();
        };
        outer.emplace([&](auto& yield) {
            if (named)
                yield(elements_of(inner));
            else
                yield(elements_of(generator<int>{std::move(inner)}));
        });
        auto here = outer->begin();
        ++here;
        return true;
    });
}

TEST(generator_nesting, outermost_destroyed_by_an_inner_function_ends_the_program_with_a_message) {
    for (const bool named : {true, false}) {
        const auto end = destroy_from_inside(named);
        EXPECT_TRUE(end.was_killed_by(SIGABRT));
        EXPECT_TRUE(end.says("coir: a generator is destroyed while its function runs")) << end.errors;
    }
}

TEST(generator_nesting, inner_destroyed_while_another_yields_its_elements_ends_the_program_with_a_message) {
    const auto end = in_child([] {
        std::optional<generator<int>> inner = count(1, 3);
        generator<int> outer = [&](auto& yield) { yield(elements_of(*inner)); };
        auto here = outer.begin();
        inner.reset();
        ++here;
        return true;
    });
    EXPECT_TRUE(end.was_killed_by(SIGABRT));
    EXPECT_TRUE(end.says("or another one yields its elements")) << end.errors;
}

} // namespace
