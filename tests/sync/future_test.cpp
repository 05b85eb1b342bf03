#include "child_process.hpp"
#include "sched/fake_driver.hpp"

#include <coir/async.hpp>
#include <coir/cancel_scope.hpp>
#include <coir/cancelled.hpp>
#include <coir/fiber.hpp>
#include <coir/future.hpp>
#include <coir/promise.hpp>
#include <coir/run.hpp>
#include <coir/this_fiber.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

namespace {

using coir::fiber;
using coir::promise;
using coir::shared_future;
using coir::spawn;
using coir::detail::fake_driver;
using coir::detail::run_on;
namespace this_fiber = coir::this_fiber;
using namespace std::chrono_literals;

using future = coir::detail::with_fake_driver;

template <class Function> void expect_error(std::future_errc expected, Function function) {
    try {
        function();
        ADD_FAILURE() << "did not throw";
    } catch (const std::future_error& error) {
        EXPECT_EQ(error.code(), std::make_error_code(expected));
    }
}

TEST_F(future, gets_what_the_promise_is_given) {
    run_on(driver, [] {
        promise<std::unique_ptr<int>> made;
        coir::future<std::unique_ptr<int>> answer = made.get_future();
        fiber<int> reader = spawn([&] { return *answer.get(); });
        this_fiber::yield();
        made.set_value(std::make_unique<int>(42));
        EXPECT_EQ(reader.join(), 42);
        EXPECT_FALSE(answer.valid());

        int number = 1;
        promise<int&> reference;
        reference.set_value(number);
        EXPECT_EQ(&reference.get_future().get(), &number);

        promise<void> nothing;
        nothing.set_value();
        nothing.get_future().get();

        promise<int> failing;
        failing.set_exception(std::make_exception_ptr(std::out_of_range("far out")));
        EXPECT_THROW(failing.get_future().get(), std::out_of_range);
    });
}

TEST_F(future, reports_the_errors_of_the_standard) {
    promise<int> made;
    coir::future<int> answer = made.get_future();
    expect_error(std::future_errc::future_already_retrieved, [&] { static_cast<void>(made.get_future()); });
    made.set_value(1);
    expect_error(std::future_errc::promise_already_satisfied, [&] { made.set_value(2); });
    expect_error(std::future_errc::promise_already_satisfied, [&] { made.set_exception(nullptr); });
    EXPECT_EQ(answer.get(), 1);
    expect_error(std::future_errc::no_state, [&] { answer.get(); });
    expect_error(std::future_errc::no_state, [&] { answer.wait(); });

    promise<int> old;
    coir::future<int> broken = old.get_future();
    old = std::move(made);
    expect_error(std::future_errc::broken_promise, [&] { broken.get(); });
    expect_error(std::future_errc::no_state, [&] { made.set_value(1); }); // NOLINT(bugprone-use-after-move)
}

TEST_F(future, takes_another_value_when_making_one_has_thrown) {
    struct refuses_copies {
        refuses_copies() = default;
        refuses_copies(const refuses_copies& /*other*/) { throw std::runtime_error("no copies"); }
        refuses_copies(refuses_copies&&) = default;
    };
    promise<refuses_copies> made;
    const refuses_copies value;
    EXPECT_THROW(made.set_value(value), std::runtime_error);
    made.set_value(refuses_copies{});
    static_cast<void>(made.get_future().get());
}

TEST_F(future, waits_until_a_deadline_or_cancellation_and_remains_valid) {
    run_on(driver, [] {
        promise<int> made;
        coir::future<int> answer = made.get_future();
        EXPECT_EQ(answer.wait_for(1s), std::future_status::timeout);
        try {
            answer.get(1s);
            ADD_FAILURE() << "did not throw";
        } catch (const std::system_error& error) {
            EXPECT_EQ(error.code(), std::errc::timed_out);
        }
        fiber<void> cancelled = spawn([&] { answer.get(); });
        this_fiber::yield();
        cancelled.cancel();
        EXPECT_THROW(cancelled.join(), coir::cancelled);
        made.set_value(3);
        EXPECT_EQ(answer.wait_for(0s), std::future_status::ready);
        EXPECT_EQ(answer.get(coir::deadline::passed()), 3);
    });
    EXPECT_EQ(driver.elapsed(), 2s);
}

TEST_F(future, shared_gives_the_same_result_to_all) {
    run_on(driver, [] {
        promise<std::string> made;
        coir::future<std::string> answer = made.get_future();
        const shared_future<std::string> first = answer.share();
        const shared_future<std::string> second = first;
        EXPECT_FALSE(answer.valid());
        fiber<const std::string*> reader = spawn([first] { return &first.get(); });
        this_fiber::yield();
        made.set_value("shared");
        EXPECT_EQ(reader.join(), &second.get());
        EXPECT_EQ(second.get(), "shared");

        promise<void> nothing;
        const shared_future<void> broken = std::exchange(nothing, {}).get_future();
        expect_error(std::future_errc::broken_promise, [&] { broken.get(); });
        expect_error(std::future_errc::broken_promise, [&] { broken.get(); });
    });
}

TEST_F(future, of_async_has_what_the_fiber_returned_or_threw) {
    run_on(driver, [] {
        coir::future<int> sum =
            coir::async([](int a, const std::unique_ptr<int>& b) { return a + *b; }, 1, std::make_unique<int>(2));
        EXPECT_EQ(sum.get(), 3);
        EXPECT_EQ(coir::async({.name = "named"}, [] { return std::string{this_fiber::name()}; }).get(), "named");
        EXPECT_THROW(coir::async([] { throw std::runtime_error("thrown"); }).get(), std::runtime_error);
        int number = 0;
        EXPECT_EQ(&coir::async([](int& of) -> int& { return of; }, std::ref(number)).get(), &number);
    });
}

TEST_F(future, of_async_is_destroyed_when_the_call_has_ended) {
    run_on(driver, [] {
        std::string log;
        {
            const coir::future<void> unused = coir::async([&] {
                this_fiber::sleep_for(1s);
                log += "ended";
            });
            const shared_future<void> copy = coir::async([&] { this_fiber::sleep_for(2s); });
            const shared_future<void> another = copy; // NOLINT(performance-unnecessary-copy-initialization)
        }
        EXPECT_EQ(log, "ended");

        // Cancellation of the one that destroys does not shorten it.
        fiber<void> destroys = spawn([&] {
            const coir::future<void> unused = coir::async([&] {
                this_fiber::sleep_for(1s);
                log += " twice";
            });
            this_fiber::sleep_for(1h);
        });
        this_fiber::yield();
        destroys.cancel();
        EXPECT_THROW(destroys.join(), coir::cancelled);
        EXPECT_EQ(log, "ended twice");
    });
    EXPECT_EQ(driver.elapsed(), 3s);
}

// What the function has captured is gone when its result is there.
TEST_F(future, of_async_does_not_outlive_what_it_borrows) {
    run_on(driver, [] {
        auto captured = std::make_shared<int>(1);
        coir::future<int> answer = coir::async([captured] { return *captured; });
        EXPECT_EQ(answer.get(), 1);
        EXPECT_EQ(captured.use_count(), 1);

        struct slow_to_end { // has a copy of the pointer until it has slept
            std::shared_ptr<int> copy;
            explicit slow_to_end(std::shared_ptr<int> of) : copy(std::move(of)) {}
            slow_to_end(slow_to_end&&) = default;
            slow_to_end& operator=(slow_to_end&&) = delete;
            ~slow_to_end() {
                if (copy)
                    this_fiber::sleep_for(1s);
            }
            int operator()() const { return *copy; }
        };
        answer = coir::async(slow_to_end{captured});
        EXPECT_EQ(answer.get(), 1);
        EXPECT_EQ(captured.use_count(), 1);
    });
}

TEST_F(future, of_async_tells_that_the_loop_has_ended) {
    const shared_future<void> asleep =
        run_on(driver, [] { return coir::async([] { this_fiber::sleep_for(1h); }).share(); });
    EXPECT_THROW(asleep.get(), coir::cancelled);
}

TEST(future_across_threads, brings_results_from_loops_and_threads) {
    for (int round = 0; round < 200; ++round) {
        promise<int> of_thread;
        promise<int> of_loop;
        coir::future<int> one = of_thread.get_future();
        const shared_future<int> two = of_loop.get_future();
        std::thread without{[&, promise = std::move(of_thread)]() mutable { promise.set_value(two.get() + 1); }};
        std::thread with_a_loop{[promise = std::move(of_loop)]() mutable {
            coir::run([&] { promise.set_value(coir::async([] { return 1; }).get()); });
        }};
        coir::run([&] {
            EXPECT_EQ(one.get(), 2);
            EXPECT_EQ(two.get(), 1);
        });
        without.join();
        with_a_loop.join();
    }
}

TEST(future_of_async, is_cancelled_when_the_loop_gives_its_fiber_up) {
    const auto end = in_child([] {
        shared_future<void> kept;
        const auto work = [&kept] {
            kept = coir::async([] {
                       const coir::shield in_peace;
                       this_fiber::sleep_for(1h);
                   }).share();
            this_fiber::yield();
        };
        coir::run(work, {.shutdown_deadline = 0s});
        try {
            kept.get();
        } catch (const coir::cancelled&) {
            return true;
        }
        return false;
    });
    EXPECT_TRUE(end.exited_well()) << end.errors;
}

} // namespace
