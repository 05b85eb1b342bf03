// A generator as a range: its elements, its iterators, misuse of them. (In fibers: tests/sched/generator_test.cpp.)

#include "child_process.hpp"
#include "context/generator_elements.hpp"

#include <coir/generator.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <ranges>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace {

using coir::generator;

static_assert(std::ranges::input_range<generator<int>> && !std::ranges::forward_range<generator<int>>);
static_assert(std::ranges::view<generator<int>> && std::ranges::view<generator<const std::string&>>);
static_assert(std::movable<generator<int>> && !std::copyable<generator<int>>);
static_assert(std::input_iterator<generator<int>::iterator> && !std::copyable<generator<int>::iterator>);
static_assert(std::is_same_v<std::ranges::range_reference_t<generator<int>>, int&&>);
static_assert(std::is_same_v<std::ranges::range_reference_t<generator<int&>>, int&>);
static_assert(std::is_same_v<std::ranges::range_reference_t<generator<const int&>>, const int&>);
static_assert(std::is_same_v<std::ranges::range_value_t<generator<const int&>>, int>);
// What a consumer may change is not given away by mistake.
static_assert(!std::is_invocable_v<generator<int&>::yielder&, int>);
static_assert(!std::is_invocable_v<generator<int&>::yielder&, const int&>);
static_assert(!std::is_invocable_v<generator<std::unique_ptr<int>>::yielder&, const std::unique_ptr<int>&>);

generator<int> count_to(int last) {
    return [last](auto& yield) {
        for (int i = 1; i <= last; ++i)
            yield(i);
    };
}

template <class Element> std::vector<std::remove_cvref_t<Element>> all_of(generator<Element> elements) {
    std::vector<std::remove_cvref_t<Element>> result;
    for (auto&& each : elements)
        result.push_back(std::forward<decltype(each)>(each));
    return result;
}

TEST(generator, yields_its_elements_in_order) {
    EXPECT_EQ(all_of(count_to(4)), (std::vector{1, 2, 3, 4}));
    EXPECT_EQ(all_of(count_to(1)), std::vector{1});
    EXPECT_EQ(all_of(count_to(0)), std::vector<int>{});
}

TEST(generator, example_of_the_header) {
    coir::generator<int> squares = [](auto& yield) {
        for (int i = 1; i <= 3; ++i)
            yield(i * i);
    };
    std::string output;
    for (int square : squares)
        output += std::to_string(square) + '\n';
    EXPECT_EQ(output, "1\n4\n9\n");
}

TEST(generator, does_nothing_before_it_is_asked_and_no_more_than_that) {
    int steps = 0;
    generator<int> numbers = [&](auto& yield) {
        for (;;)
            yield(++steps);
    };
    EXPECT_EQ(steps, 0);
    auto here = numbers.begin();
    EXPECT_EQ(steps, 1);
    EXPECT_EQ(*here, 1);
    EXPECT_EQ(*here, 1);
    ++here;
    here++;
    EXPECT_EQ(*here, 3);
    EXPECT_EQ(steps, 3);
}

TEST(generator, hands_over_what_can_only_be_moved) {
    generator<std::unique_ptr<int>> boxes = [](auto& yield) {
        for (int i = 0; i < 3; ++i)
            yield(std::make_unique<int>(i));
        auto last = std::make_unique<int>(3);
        yield(std::move(last));
        EXPECT_EQ(last, nullptr);
    };
    int expected = 0;
    for (std::unique_ptr<int> box : boxes)
        EXPECT_EQ(*box, expected++);
    EXPECT_EQ(expected, 4);
}

TEST(generator, copies_a_variable_so_that_its_consumer_may_move_from_the_element) {
    generator<std::string> words = [](auto& yield) {
        const std::string constant = "longer than what fits into the object itself";
        std::string variable = constant;
        yield(variable);
        yield(constant);
        EXPECT_FALSE(variable.empty());
        EXPECT_EQ(variable, constant);
        yield("and one that is converted");
    };
    const std::vector<std::string> taken = all_of(std::move(words));
    EXPECT_EQ(taken[0], taken[1]);
    EXPECT_EQ(taken[2], "and one that is converted");
}

TEST(generator, of_references_hands_over_the_objects_themselves) {
    std::vector<int> numbers{1, 2, 3};
    generator<int&> each = [&](auto& yield) {
        for (int& number : numbers)
            yield(number);
    };
    for (int& number : each)
        number *= 10;
    EXPECT_EQ(numbers, (std::vector{10, 20, 30}));

    generator<const std::string&> words = [](auto& yield) { yield("a temporary, which lives until the next step"); };
    for (const std::string& word : words)
        EXPECT_EQ(word, "a temporary, which lives until the next step");
}

struct counts_copies {
    int copies = 0;
    int moves = 0;
    counts_copies() = default;
    counts_copies(const counts_copies& other) : copies(other.copies + 1), moves(other.moves) {}
    counts_copies(counts_copies&& other) noexcept : copies(other.copies), moves(other.moves + 1) {}
};

TEST(generator, neither_copies_nor_moves_a_temporary) {
    generator<counts_copies> elements = [](auto& yield) {
        const counts_copies kept;
        yield(counts_copies{});
        yield(kept);
    };
    auto here = elements.begin();
    EXPECT_EQ((*here).copies + (*here).moves, 0);
    ++here;
    EXPECT_EQ((*here).copies, 1);
    EXPECT_EQ((*here).moves, 0);
}

struct node {
    int key;
    std::unique_ptr<node> left = nullptr;
    std::unique_ptr<node> right = nullptr;
};

std::unique_ptr<node> tree(int first, int last) { // NOLINT(misc-no-recursion)
    if (first > last)
        return nullptr;
    const int middle = first + (last - first) / 2;
    return std::make_unique<node>(node{middle, tree(first, middle - 1), tree(middle + 1, last)});
}

void walk(const node* here, generator<int>::yielder& yield) { // NOLINT(misc-no-recursion)
    if (!here)
        return;
    walk(here->left.get(), yield);
    yield(here->key);
    walk(here->right.get(), yield);
}

TEST(generator, may_yield_from_functions_lambdas_and_algorithms) {
    const auto root = tree(1, 100);
    int expected = 1;
    for (int key : generator<int>{[&](auto& yield) { walk(root.get(), yield); }})
        EXPECT_EQ(key, expected++);
    EXPECT_EQ(expected, 101);

    const std::vector<int> odd{1, 3, 5};
    EXPECT_EQ(all_of<int>([&](auto& yield) { std::ranges::for_each(odd, [&](int each) { yield(each); }); }), odd);
    EXPECT_EQ(all_of<int>([&](auto& yield) { std::ranges::for_each(odd, std::ref(yield)); }), odd);

    void (*const function)(generator<int>::yielder&) = [](auto& yield) { yield(1); };
    EXPECT_EQ(all_of<int>(function), std::vector{1});
}

TEST(generator, is_a_range_for_algorithms) {
    EXPECT_EQ(std::ranges::count_if(count_to(10), [](int number) { return number > 3; }), 7);
}

#if !defined(__clang__) || __clang_major__ >= 16 // before, clang cannot compile libstdc++'s views

TEST(generator, is_a_view_for_pipelines) {
    std::vector<int> squares;
    for (int each : count_to(9) | std::views::filter([](int number) { return number % 2 == 0; }) |
                        std::views::transform([](int number) { return number * number; }))
        squares.push_back(each);
    EXPECT_EQ(squares, (std::vector{4, 16, 36, 64}));
}

#endif

TEST(generator, may_be_gone_through_in_turn_with_others) {
    generator<int> one = count_to(1000);
    generator<int> other = count_to(2000);
    auto a = one.begin();
    auto b = other.begin();
    for (; a != one.end() && b != other.end(); ++a, ++b)
        ASSERT_EQ(*a, *b);
    EXPECT_EQ(*b, 1001);
}

TEST(generator, may_be_moved_at_any_time_and_its_iterators_stay_valid) {
    generator<int> numbers = count_to(5);
    generator<int> moved = std::move(numbers);
    auto here = moved.begin();
    std::vector<generator<int>> home;
    home.push_back(std::move(moved));
    home.push_back(count_to(1));
    home.reserve(100);
    ++here;
    EXPECT_EQ(*here, 2);
    auto there = std::move(here);
    ++there;
    EXPECT_EQ(*there, 3);
    std::swap(home[0], home[1]);
    ++there;
    EXPECT_EQ(*there, 4);
    EXPECT_THROW(static_cast<void>(numbers.begin()), std::logic_error); // NOLINT(bugprone-use-after-move)
}

TEST(generator, may_be_continued_by_another_thread) {
    generator<int> numbers = count_to(3);
    auto here = numbers.begin();
    std::thread([&] { ++here; }).join();
    EXPECT_EQ(*here, 2);
    std::thread([last = std::move(numbers)] {}).join();
}

TEST(generator, that_has_ended_refuses_everything) {
    generator<int> numbers = count_to(1);
    auto here = numbers.begin();
    ++here;
    EXPECT_TRUE(here == numbers.end());
    for (const std::string& message : {message_of([&] { ++here; }), message_of([&] { static_cast<void>(*here); }),
                                       message_of([&] { static_cast<void>(numbers.begin()); })})
        EXPECT_EQ(message, "coir: use of a generator that has ended");
}

TEST(generator, is_begun_once) {
    generator<int> numbers = count_to(3);
    auto here = numbers.begin();
    EXPECT_EQ(message_of([&] { static_cast<void>(numbers.begin()); }), "coir: a generator is begun a second time");
    ++here;
    EXPECT_EQ(*here, 2);
}

TEST(generator, that_has_been_moved_from_has_no_elements) {
    generator<int> numbers = count_to(3);
    const generator<int> taken = std::move(numbers);
    EXPECT_EQ(message_of([&] { static_cast<void>(numbers.begin()); }), // NOLINT(bugprone-use-after-move)
              "coir: use of a generator that has been moved from");
}

TEST(generator, cannot_be_used_by_its_own_function) {
    std::vector<std::string> messages;
    std::optional<generator<int>::iterator> here;
    generator<int> numbers = [&](auto& yield) {
        yield(1);
        messages = {message_of([&] { ++*here; }), message_of([&] { static_cast<void>(**here); }),
                    message_of([&] { static_cast<void>(numbers.begin()); })};
        yield(2);
    };
    here.emplace(numbers.begin());
    ++*here;
    EXPECT_EQ(messages, std::vector<std::string>(3, "coir: use of a generator while its function runs"));
    EXPECT_EQ(**here, 2);
}

TEST(generator, destroyed_by_its_own_function_ends_the_program_with_a_message) {
    const auto end = in_child([] {
        std::optional<generator<int>> numbers;
        numbers.emplace([&](auto& yield) {
            yield(1);
            numbers.reset();
        });
        for (auto here = numbers->begin(); here != numbers->end();)
            ++here;
        return true;
    });
    EXPECT_TRUE(end.was_killed_by(SIGABRT));
    EXPECT_TRUE(end.says("coir: a generator is destroyed while its function runs")) << end.errors;
}

int use_stack(int depth) { // NOLINT(misc-no-recursion)
    volatile char frame[1024] = {};
    return depth == 0 ? frame[0] : use_stack(depth - 1) + frame[1023] + 1;
}

TEST(generator, may_have_a_stack_of_another_size) {
    coir::context_options large;
    large.stack_size = 4 * 1024 * 1024;
    for (int depth : generator<int>{[](auto& yield) { yield(use_stack(3000)); }, large})
        EXPECT_EQ(depth, 3000);

    coir::context_options small;
    small.stack_size = coir::minimum_stack_size - 1;
    EXPECT_THROW((generator<int>{[](auto& yield) { yield(1); }, small}), std::invalid_argument);
}

} // namespace
