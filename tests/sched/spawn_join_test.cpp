#include "sched/fake_driver.hpp"

#include <coir/fiber.hpp>
#include <coir/stack_size.hpp>
#include <coir/this_fiber.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

namespace {

using coir::fiber;
using coir::fiber_options;
using coir::spawn;
using coir::detail::fake_driver;
using coir::detail::run_on;
namespace this_fiber = coir::this_fiber;
using namespace std::chrono_literals;

using spawn_join = coir::detail::with_fake_driver;

TEST_F(spawn_join, brings_a_value) {
    run_on(driver, [] {
        EXPECT_EQ(spawn([] { return 42; }).join(), 42);
        EXPECT_EQ(spawn([] { return std::string("text"); }).join(), "text");
    });
}

TEST_F(spawn_join, brings_a_value_that_can_only_be_moved) {
    run_on(driver, [] {
        const std::unique_ptr<int> result = spawn([] { return std::make_unique<int>(7); }).join();
        EXPECT_EQ(*result, 7);
    });
}

TEST_F(spawn_join, brings_a_reference) {
    run_on(driver, [] {
        int number = 1;
        fiber<int&> worker = spawn([&]() -> int& { return number; });
        int& result = worker.join();
        EXPECT_EQ(&result, &number);
    });
}

TEST_F(spawn_join, brings_nothing) {
    run_on(driver, [] {
        bool ran = false;
        fiber<void> worker = spawn([&] { ran = true; });
        static_assert(std::is_void_v<decltype(worker.join())>);
        worker.join();
        EXPECT_TRUE(ran);
    });
}

TEST_F(spawn_join, brings_the_exception_that_ended_the_fiber) {
    run_on(driver, [] {
        fiber<int> worker = spawn([]() -> int { throw std::out_of_range("index 7"); });
        try {
            worker.join();
            FAIL();
        } catch (const std::out_of_range& error) {
            EXPECT_STREQ(error.what(), "index 7");
        }
        EXPECT_FALSE(worker.joinable());
        EXPECT_EQ(std::uncaught_exceptions(), 0);
    });
}

TEST_F(spawn_join, brings_exceptions_of_any_type) {
    run_on(driver, [] {
        EXPECT_THROW(spawn([] { throw 42; }).join(), int);
        EXPECT_THROW(spawn([] { throw std::string("text"); }).join(), std::string);
    });
}

TEST_F(spawn_join, works_after_the_fiber_has_ended) {
    run_on(driver, [] {
        fiber<int> value = spawn([] { return 1; });
        fiber<int> failure = spawn([]() -> int { throw std::runtime_error("x"); });
        this_fiber::yield();
        this_fiber::yield();
        EXPECT_TRUE(value.wait(coir::deadline::passed()));
        EXPECT_EQ(value.join(), 1);
        EXPECT_THROW(failure.join(), std::runtime_error);
    });
}

TEST_F(spawn_join, starts_the_fiber_later_and_not_in_spawn) {
    run_on(driver, [] {
        bool ran = false;
        fiber<void> worker = spawn([&] { ran = true; });
        EXPECT_FALSE(ran);
        worker.join();
        EXPECT_TRUE(ran);
    });
}

struct adder {
    int base = 0;
    [[nodiscard]] int add(int number) const { return base + number; }
};

int twice(int number) {
    return 2 * number;
}

TEST_F(spawn_join, passes_arguments_as_thread_does) {
    run_on(driver, [] {
        EXPECT_EQ(spawn(twice, 4).join(), 8);
        EXPECT_EQ(spawn(&adder::add, adder{10}, 5).join(), 15);
        const adder kept{20};
        EXPECT_EQ(spawn(&adder::add, &kept, 5).join(), 25);
        int number = 1;
        spawn([](int& reference) { reference = 2; }, std::ref(number)).join();
        EXPECT_EQ(number, 2);
        const auto moved = spawn([](std::unique_ptr<int> pointer) { return pointer; }, std::make_unique<int>(3)).join();
        EXPECT_EQ(*moved, 3);
        // Copied when spawn() is called: the original may go.
        fiber<std::string> late;
        {
            std::string text = "a text too long for the small string optimisation";
            late = spawn([](const std::string& copy) { return copy; }, text);
            text = "overwritten";
        }
        EXPECT_EQ(late.join(), "a text too long for the small string optimisation");
    });
}

TEST_F(spawn_join, destroys_function_and_arguments_when_the_function_has_ended) {
    run_on(driver, [] {
        const auto alive = std::make_shared<int>(0);
        fiber<void> worker = spawn([alive](const std::shared_ptr<int>& /*also*/) {}, alive);
        EXPECT_EQ(alive.use_count(), 3);
        worker.wait();
        EXPECT_EQ(alive.use_count(), 1); // although the handle is still here
        worker.join();
    });
}

// Vector types and cache-line-sized structures are captured like any other.
TEST_F(spawn_join, keeps_the_alignment_of_what_it_captures) {
    struct alignas(128) aligned {
        char bytes[128]{};
    };
    run_on(driver, [] {
        std::vector<fiber<bool>> workers;
        for (int i = 0; i < 20; ++i)
            workers.push_back(spawn([value = aligned{}] {
                const auto* where = &value;
                asm volatile("" : "+r"(where)); // or the compiler answers by itself
                return reinterpret_cast<std::uintptr_t>(where) % 128 == 0;
            }));
        int misaligned = 0;
        for (auto& each : workers)
            misaligned += each.join() ? 0 : 1;
        EXPECT_EQ(misaligned, 0);
    });
}

TEST_F(spawn_join, is_over_after_one_join) {
    run_on(driver, [] {
        fiber<int> worker = spawn([] { return 1; });
        EXPECT_TRUE(worker.joinable());
        worker.join();
        EXPECT_FALSE(worker.joinable());
        EXPECT_EQ(worker.id(), 0U);
        EXPECT_EQ(worker.name(), "");
        EXPECT_THROW(worker.join(), std::logic_error);
        EXPECT_THROW(worker.wait(), std::logic_error);
        EXPECT_THROW(worker.detach(), std::logic_error);
        worker.cancel(); // nobody there
        fiber<int> empty;
        EXPECT_THROW(empty.join(), std::logic_error);
    });
}

TEST_F(spawn_join, gives_up_at_its_deadline_and_may_be_tried_again) {
    run_on(driver, [this] {
        fiber<int> worker = spawn(fiber_options{.name = "slow"}, [] {
            this_fiber::sleep_for(10s);
            return 5;
        });
        try {
            worker.join(3s);
            FAIL();
        } catch (const std::system_error& error) {
            EXPECT_EQ(error.code(), std::errc::timed_out);
            EXPECT_NE(std::string{error.what()}.find("slow"), std::string::npos);
        }
        EXPECT_EQ(driver.elapsed(), 3s);
        EXPECT_FALSE(worker.wait(coir::deadline::passed()));
        EXPECT_EQ(driver.elapsed(), 3s);
        EXPECT_TRUE(worker.joinable());
        EXPECT_EQ(worker.join(100s), 5);
        EXPECT_EQ(driver.elapsed(), 10s);
    });
}

TEST_F(spawn_join, finds_a_fiber_that_ended_at_the_very_deadline) {
    run_on(driver, [] {
        fiber<int> worker = spawn([] {
            this_fiber::sleep_for(3s);
            return 5;
        });
        this_fiber::yield(); // it is asleep
        const bool ended = worker.wait(3s);
        EXPECT_EQ(worker.join(), 5);
        (void)ended; // either is right; the join must bring the value
    });
}

TEST_F(spawn_join, may_be_awaited_by_several) {
    run_on(driver, [] {
        fiber<int> worker = spawn([] {
            this_fiber::sleep_for(1s);
            return 5;
        });
        std::string order;
        std::vector<fiber<void>> waiters;
        for (char name = 'a'; name < 'e'; ++name)
            waiters.push_back(spawn([&, name] {
                EXPECT_TRUE(worker.wait());
                order += name;
            }));
        waiters.push_back(spawn([&] { EXPECT_FALSE(worker.wait(500ms)); }));
        waiters.push_back(spawn([&] { EXPECT_TRUE(worker.wait(1h)); }));
        for (auto& each : waiters)
            each.join();
        EXPECT_EQ(order, "abcd");
        EXPECT_EQ(worker.join(), 5);
    });
}

// The one who joins takes the result, and with it the control block; the others have waited for its end, which has come.
TEST_F(spawn_join, by_one_while_others_wait_leaves_those_unharmed) {
    run_on(driver, [] {
        fiber<int> worker = spawn([] {
            this_fiber::sleep_for(1s);
            return 5;
        });
        int joined = 0;
        fiber<void> joiner = spawn([&] { joined = worker.join(); });
        fiber<bool> patient = spawn([&] { return worker.wait(); });
        fiber<bool> with_deadline = spawn([&] { return worker.wait(1h); });
        EXPECT_TRUE(patient.join());
        EXPECT_TRUE(with_deadline.join());
        joiner.join();
        EXPECT_EQ(joined, 5);
    });
}

TEST_F(spawn_join, by_two_gives_the_result_to_one_and_tells_the_other) {
    run_on(driver, [] {
        fiber<int> worker = spawn([] {
            this_fiber::sleep_for(1s);
            return 5;
        });
        fiber<int> first = spawn([&] { return worker.join(); });
        fiber<int> second = spawn([&] { return worker.join(); });
        EXPECT_EQ(first.join(), 5);
        EXPECT_THROW(second.join(), std::logic_error);
    });
}

TEST_F(spawn_join, does_not_take_the_fiber_that_another_has_put_into_the_handle_meanwhile) {
    run_on(driver, [] {
        fiber<int> worker = spawn([] {
            this_fiber::sleep_for(1s);
            return 5;
        });
        fiber<int> first = spawn([&] {
            const int result = worker.join();
            worker = spawn([] {
                this_fiber::sleep_for(1h);
                return 6;
            });
            return result;
        });
        fiber<int> second = spawn([&] { return worker.join(); });
        EXPECT_EQ(first.join(), 5);
        EXPECT_THROW(second.join(), std::logic_error);
        EXPECT_TRUE(worker.joinable());
    });
    run_on(driver, [] { // nor one that has ended as well
        fiber<int> worker = spawn([] {
            this_fiber::sleep_for(1s);
            return 5;
        });
        fiber<int> other = spawn([] { return 6; });
        fiber<void> first = spawn([&] {
            EXPECT_EQ(worker.join(), 5);
            worker = std::move(other);
        });
        fiber<int> second = spawn([&] { return worker.join(); });
        first.join();
        EXPECT_THROW(second.join(), std::logic_error);
        EXPECT_EQ(worker.join(), 6);
    });
}

TEST_F(spawn_join, survives_that_the_handle_is_moved_meanwhile) {
    run_on(driver, [] {
        fiber<int> worker = spawn([] {
            this_fiber::sleep_for(1s);
            return 5;
        });
        fiber<bool> waiter = spawn([&] { return worker.wait(1h); });
        this_fiber::yield();
        fiber<int> moved = std::move(worker);
        EXPECT_TRUE(waiter.join());
        EXPECT_EQ(moved.join(), 5);
    });
}

TEST_F(spawn_join, of_oneself_is_refused) {
    run_on(driver, [] {
        fiber<void> itself;
        bool refused = false;
        itself = spawn(fiber_options{.name = "narcissus"}, [&] {
            try {
                itself.join();
            } catch (const std::logic_error& error) {
                refused = std::string{error.what()}.find("narcissus") != std::string::npos;
            }
            EXPECT_THROW(itself.wait(1s), std::logic_error);
        });
        itself.wait();
        EXPECT_TRUE(refused);
        itself.join();
    });
}

TEST_F(spawn_join, takes_the_name_and_size_that_are_asked_for) {
    run_on(driver, [] {
        std::string buffer = "temporary";
        fiber<std::string> worker = spawn(fiber_options{.name = buffer, .stack_size = 1 << 20}, [] {
            static_cast<volatile char*>(__builtin_alloca(900 * 1024))[0] = 1;
            return std::string{this_fiber::name()};
        });
        buffer = "overwritten";
        EXPECT_EQ(worker.name(), "temporary");
        EXPECT_EQ(worker.join(), "temporary");
        EXPECT_EQ(spawn([] { return this_fiber::name().size(); }).join(), 0U);
        EXPECT_EQ(this_fiber::name(), "main");
    });
}

TEST_F(spawn_join, refuses_a_stack_that_is_too_small_and_starts_nothing) {
    run_on(driver, [] {
        bool ran = false;
        const auto alive = std::make_shared<int>(0);
        EXPECT_THROW(
            (void)spawn(fiber_options{.stack_size = coir::minimum_stack_size - 1}, [&ran, alive] { ran = true; }),
            std::invalid_argument);
        EXPECT_EQ(alive.use_count(), 1);
        this_fiber::sleep_for(1s);
        EXPECT_FALSE(ran);
    });
}

TEST_F(spawn_join, numbers_fibers_uniquely) {
    std::set<coir::fiber_id> ids;
    for (int loops = 0; loops < 3; ++loops) {
        fake_driver another;
        run_on(another, [&] {
            EXPECT_TRUE(ids.insert(this_fiber::id()).second);
            for (int i = 0; i < 2000; ++i) {
                fiber<coir::fiber_id> worker = spawn([] { return this_fiber::id(); });
                const coir::fiber_id id = worker.id();
                EXPECT_NE(id, 0U);
                EXPECT_TRUE(ids.insert(id).second);
                EXPECT_EQ(worker.join(), id);
            }
        });
    }
}

TEST_F(spawn_join, moves_handles) {
    run_on(driver, [] {
        fiber<int> first = spawn([] { return 1; });
        const coir::fiber_id id = first.id();
        fiber<int> second = std::move(first);
        EXPECT_FALSE(first.joinable()); // NOLINT(bugprone-use-after-move)
        EXPECT_EQ(second.id(), id);
        fiber<int>& same = second;
        second = std::move(same);
        EXPECT_EQ(second.id(), id);
        first = std::move(second);
        EXPECT_EQ(first.join(), 1);
        static_assert(!std::is_copy_constructible_v<fiber<int>>);
        static_assert(std::is_nothrow_move_constructible_v<fiber<int>>);
    });
}

} // namespace
