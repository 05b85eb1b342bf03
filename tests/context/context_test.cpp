#include "child_process.hpp"

#include <coir/context.hpp>
#include <coir/stack_size.hpp>

#include <gtest/gtest.h>

#include <csignal>
#include <cstddef>
#include <cstring>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <sys/syscall.h>
#include <thread>
#include <type_traits>
#include <unistd.h>
#include <utility>
#include <vector>

namespace {

using coir::context;
using coir::context_options;

TEST(context, runs_nothing_until_it_is_resumed) {
    bool ran = false;
    context inside{[&](context::self& /*self*/) { ran = true; }};
    EXPECT_FALSE(ran);
    EXPECT_FALSE(inside.done());
    EXPECT_FALSE(inside.resume());
    EXPECT_TRUE(ran);
    EXPECT_TRUE(inside.done());
}

TEST(context, goes_on_where_it_stopped) {
    std::vector<int> values;
    int value = 0;
    context numbers{[&](context::self& self) {
        for (value = 1; value <= 3; ++value)
            self.suspend();
    }};
    while (numbers.resume())
        values.push_back(value);
    EXPECT_EQ(values, (std::vector{1, 2, 3}));
    EXPECT_TRUE(numbers.done());
}

TEST(context, suspends_from_the_depth_of_a_recursion) {
    int visited = 0;
    context inside{[&](context::self& self) {
        const std::function<void(int)> visit = [&](int depth) {
            if (depth > 0) {
                visit(depth - 1);
                ++visited;
                self.suspend();
                visit(depth - 1);
            }
        };
        visit(8);
    }};
    int suspended = 0;
    while (inside.resume())
        EXPECT_EQ(visited, ++suspended);
    EXPECT_EQ(visited, 255);
}

TEST(context, owns_its_function) {
    auto number = std::make_unique<int>(42);
    int seen = 0;
    const auto count = std::make_shared<int>(0);
    {
        context inside{[number = std::move(number), &seen, count](context::self& /*self*/) { seen = *number; }};
        EXPECT_EQ(count.use_count(), 2);
        inside.resume();
        EXPECT_EQ(seen, 42);
    }
    EXPECT_EQ(count.use_count(), 1);
}

TEST(context, takes_a_plain_function) {
    static int calls = 0;
    struct plain {
        static void function(context::self& self) {
            ++calls;
            self.suspend();
            ++calls;
        }
    };
    context inside{plain::function};
    EXPECT_TRUE(inside.resume());
    EXPECT_FALSE(inside.resume());
    EXPECT_EQ(calls, 2);
}

TEST(context, can_be_moved_while_it_is_suspended) {
    int value = 0;
    context first{[&](context::self& self) {
        value = 1;
        self.suspend();
        value = 2;
    }};
    first.resume();
    context second{std::move(first)};
    EXPECT_TRUE(first.done()); // NOLINT(bugprone-use-after-move)
    EXPECT_FALSE(second.done());
    context third;
    third = std::move(second);
    EXPECT_FALSE(third.resume());
    EXPECT_EQ(value, 2);
    static_assert(!std::is_copy_constructible_v<context> && std::is_nothrow_move_constructible_v<context>);
}

TEST(context, is_destroyed_when_another_is_assigned_to_it) {
    const auto alive = std::make_shared<int>(0);
    const auto wait = [alive](context::self& self) {
        const auto on_stack = alive;
        self.suspend();
    };
    context inside{wait};
    inside.resume();
    inside = context{wait};
    EXPECT_EQ(alive.use_count(), 3); // in `wait`, and in the new context's function; not on the old one's stack
    inside = context{};
    EXPECT_EQ(alive.use_count(), 2);
}

TEST(context, without_a_function_is_done) {
    context empty;
    EXPECT_TRUE(empty.done());
    EXPECT_THROW(empty.resume(), std::logic_error);
}

TEST(context, that_has_ended_cannot_be_resumed) {
    context inside{[](context::self& /*self*/) {}};
    EXPECT_FALSE(inside.resume());
    EXPECT_THROW(inside.resume(), std::logic_error);
    EXPECT_THROW(inside.resume(), std::logic_error);
    EXPECT_TRUE(inside.done());
}

TEST(context, that_runs_cannot_be_resumed) {
    context* itself = nullptr;
    bool thrown = false;
    context inside{[&](context::self& self) {
        EXPECT_FALSE(itself->done());
        try {
            itself->resume();
        } catch (const std::logic_error& error) {
            thrown = std::string{error.what()}.find("running") != std::string::npos;
        }
        self.suspend();
    }};
    itself = &inside;
    EXPECT_TRUE(inside.resume());
    EXPECT_TRUE(thrown);
    EXPECT_FALSE(inside.resume());
}

TEST(context, that_waits_for_one_it_resumed_cannot_be_resumed_by_that) {
    context* first = nullptr;
    bool thrown = false;
    context second{[&](context::self& /*self*/) {
        try {
            first->resume();
        } catch (const std::logic_error&) {
            thrown = true;
        }
    }};
    context outer{[&](context::self& /*self*/) { second.resume(); }};
    first = &outer;
    EXPECT_FALSE(outer.resume());
    EXPECT_TRUE(thrown);
}

TEST(context, may_resume_others) {
    std::string order;
    context inner{[&](context::self& self) {
        order += 'b';
        self.suspend();
        order += 'd';
    }};
    context outer{[&](context::self& self) {
        order += 'a';
        inner.resume();
        order += 'c';
        self.suspend();
        inner.resume();
        order += 'e';
    }};
    EXPECT_TRUE(outer.resume());
    EXPECT_EQ(order, "abc");
    EXPECT_FALSE(outer.resume());
    EXPECT_EQ(order, "abcde");
}

TEST(context, may_be_made_in_another_and_outlive_it) {
    context made;
    int value = 0;
    {
        context maker{[&](context::self& /*self*/) {
            made = context{[&](context::self& self) {
                value = 1;
                self.suspend();
                value = 2;
            }};
            made.resume();
        }};
        maker.resume();
    }
    EXPECT_EQ(value, 1);
    EXPECT_FALSE(made.resume());
    EXPECT_EQ(value, 2);
}

TEST(context, may_be_resumed_from_different_stacks_in_turn) {
    int steps = 0;
    context shared{[&](context::self& self) {
        for (;;) {
            ++steps;
            self.suspend();
        }
    }};
    const auto user = [&](context::self& self) {
        for (;;) {
            shared.resume();
            self.suspend();
        }
    };
    context one{user};
    context other{user};
    for (int i = 0; i < 10; ++i) {
        one.resume();
        shared.resume();
        other.resume();
    }
    EXPECT_EQ(steps, 30);
}

// std::this_thread::get_id() would not do: the compiler is allowed to remember it.
[[gnu::noinline]] long running_thread() {
    return ::syscall(SYS_gettid);
}

TEST(context, may_be_resumed_by_several_threads_in_turn) {
    std::vector<long> seen;
    context inside{[&](context::self& self) {
        for (int i = 0; i < 3; ++i) {
            seen.push_back(running_thread());
            self.suspend();
        }
    }};
    inside.resume();
    long other = 0;
    std::thread([&] {
        other = running_thread();
        inside.resume();
    }).join();
    inside.resume();
    EXPECT_EQ(seen, (std::vector{running_thread(), other, running_thread()}));
    std::thread([last = std::move(inside)]() mutable { EXPECT_FALSE(last.resume()); }).join();
}

TEST(context, has_at_least_the_stack_it_asks_for) {
    for (const std::size_t size : {coir::minimum_stack_size, coir::default_stack_size, std::size_t{8} << 20}) {
        context inside{[=](context::self& /*self*/) {
                           auto* memory = static_cast<volatile char*>(__builtin_alloca(size - 8192));
                           for (std::size_t i = 0; i < size - 8192; i += 1024)
                               memory[i] = 1;
                       },
                       context_options{.stack_size = size}};
        EXPECT_FALSE(inside.resume());
    }
}

TEST(context, stack_below_the_minimum_is_refused) {
    const auto nothing = [](context::self& /*self*/) {};
    for (const std::size_t size : {std::size_t{0}, std::size_t{1}, coir::minimum_stack_size - 1})
        EXPECT_THROW((context{nothing, context_options{.stack_size = size}}), std::invalid_argument) << size;
    EXPECT_THROW((context{nothing, context_options{.stack_size = static_cast<std::size_t>(-1)}}),
                 std::invalid_argument);
}

TEST(context, leaves_no_trace_when_its_function_cannot_be_copied) {
    struct uncopyable {
        uncopyable() = default;
        uncopyable(const uncopyable& /*other*/) { throw std::runtime_error("no copies"); }
        void operator()(context::self& /*self*/) const {}
    };
    const uncopyable function;
    EXPECT_THROW(context{function}, std::runtime_error);
}

TEST(context, thousands_may_be_suspended_at_once) {
#if defined(COIR_TSAN)
    constexpr std::size_t many = 200; // each is a thread to ThreadSanitizer: slow, and 8,000 at most
#else
    constexpr std::size_t many = 10'000;
#endif
    std::vector<context> contexts;
    std::size_t sum = 0;
    for (std::size_t i = 0; i < many; ++i)
        contexts.emplace_back([&sum, i](context::self& self) {
            sum += i;
            self.suspend();
            sum -= i;
        });
    for (context& each : contexts)
        each.resume();
    EXPECT_EQ(sum, many * (many - 1) / 2);
    for (context& each : contexts)
        EXPECT_FALSE(each.resume());
    EXPECT_EQ(sum, 0U);
}

[[gnu::noinline]] int recurse(int depth) { // NOLINT(misc-no-recursion)
    volatile char frame[256];
    frame[0] = static_cast<char>(depth);
    return depth == 0 ? 0 : recurse(depth - 1) + frame[0];
}

TEST(context, that_overflows_its_stack_hits_the_guard_and_not_its_neighbour) {
    // Neighbours on both sides, with something on their stacks.
    std::vector<context> contexts;
    for (int i = 0; i < 3; ++i)
        contexts.emplace_back([](context::self& self) {
            char memory[64 * 1024];
            std::memset(memory, 'x', sizeof memory);
            self.suspend();
            ASSERT_EQ(std::string(memory, sizeof memory), std::string(sizeof memory, 'x'));
            self.suspend();
            recurse(1'000'000);
        });
    for (context& each : contexts)
        each.resume();
    EXPECT_TRUE(in_child([&] {
                    contexts[1].resume();
                    contexts[1].resume();
                    return true;
                }).was_killed_by(SIGSEGV));
    for (context& each : contexts)
        each.resume();
}

[[gnu::noinline]] void with_big_frame(std::size_t bytes) {
    auto* memory = static_cast<volatile char*>(__builtin_alloca(bytes));
    memory[0] = 1; // far below the guard
}

// Needs -fstack-clash-protection, which coir hands to its users.
TEST(context, with_a_frame_larger_than_the_guard_hits_the_guard_all_the_same) {
    for (const std::size_t bytes : {std::size_t{140'000}, std::size_t{200'000}, std::size_t{1} << 20}) {
        context below{[](context::self& self) { self.suspend(); }};
        context inside{[=](context::self& /*self*/) { with_big_frame(bytes); }};
        context above{[](context::self& self) { self.suspend(); }};
        below.resume();
        above.resume();
        EXPECT_TRUE(in_child([&] {
                        inside.resume();
                        return true;
                    }).was_killed_by(SIGSEGV))
            << bytes;
    }
}

} // namespace
