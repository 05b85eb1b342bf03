// When what a fiber owns is destroyed, and that destructors may block there.

#include "sched/fake_driver.hpp"

#include <coir/cancelled.hpp>
#include <coir/fiber.hpp>
#include <coir/this_fiber.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace {

using coir::cancelled;
using coir::fiber;
using coir::spawn;
using coir::detail::fake_driver;
using coir::detail::run_on;
namespace this_fiber = coir::this_fiber;
using namespace std::chrono_literals;

using lifetime = coir::detail::with_fake_driver;

/// Waits when it is destroyed, once, and says where that was.
class waits_at_end {
public:
    explicit waits_at_end(std::string& log) : log_(&log) {}
    waits_at_end(waits_at_end&& other) noexcept : log_(std::exchange(other.log_, nullptr)) {}
    waits_at_end& operator=(waits_at_end&&) = delete;
    ~waits_at_end() {
        if (!log_)
            return;
        this_fiber::yield();
        this_fiber::sleep_for(1s);
        *log_ += std::string{this_fiber::name()} + " waited. ";
    }

private:
    std::string* log_;
};

TEST_F(lifetime, the_function_is_destroyed_by_the_fiber_and_may_wait) {
    run_on(driver, [this] {
        std::string log;
        fiber<void> worker = spawn({.name = "worker"}, [guard = waits_at_end{log}] {});
        worker.join();
        EXPECT_EQ(log, "worker waited. ");
        EXPECT_EQ(driver.elapsed(), 1s);
    });
}

TEST_F(lifetime, arguments_are_destroyed_by_the_fiber_and_may_wait) {
    run_on(driver, [] {
        std::string log;
        spawn(
            {.name = "worker"}, [](const waits_at_end&) {}, waits_at_end{log})
            .join();
        EXPECT_EQ(log, "worker waited. ");
    });
}

TEST_F(lifetime, the_function_of_a_failing_fiber_is_destroyed_by_the_fiber_and_may_wait) {
    run_on(driver, [] {
        std::string log;
        fiber<void> worker =
            spawn({.name = "worker"}, [guard = waits_at_end{log}] { throw std::runtime_error("failed"); });
        EXPECT_THROW(worker.join(), std::runtime_error);
        EXPECT_EQ(log, "worker waited. ");
    });
}

TEST_F(lifetime, the_function_of_a_cancelled_fiber_is_destroyed_by_the_fiber_and_may_wait) {
    run_on(driver, [] {
        std::string log;
        fiber<void> worker = spawn({.name = "worker"}, [guard = waits_at_end{log}] { this_fiber::sleep_for(1h); });
        this_fiber::yield();
        worker.cancel();
        EXPECT_THROW(worker.join(), cancelled);
        EXPECT_EQ(log, "worker waited. ");
    });
}

TEST_F(lifetime, the_result_of_a_detached_fiber_is_destroyed_by_the_fiber_and_may_wait) {
    std::string log;
    run_on(driver, [&] {
        spawn({.name = "worker"}, [&] { return waits_at_end{log}; }).detach();
        this_fiber::sleep_for(10s);
    });
    EXPECT_EQ(log, "worker waited. ");
}

TEST_F(lifetime, the_result_of_an_ended_fiber_is_destroyed_by_who_detaches_it_and_may_wait) {
    run_on(driver, [] {
        std::string log;
        fiber<waits_at_end> worker = spawn([&] { return waits_at_end{log}; });
        worker.wait();
        worker.detach();
        EXPECT_EQ(log, "main waited. ");
    });
}

TEST_F(lifetime, the_result_of_an_abandoned_fiber_is_destroyed_by_who_abandons_it_and_may_wait) {
    run_on(driver, [] {
        std::string log;
        {
            const fiber<waits_at_end> worker = spawn([&] { return waits_at_end{log}; });
            this_fiber::yield();
        }
        EXPECT_EQ(log, "main waited. ");
    });
}

/// An exception that owns a fiber: its destructor cancels and waits.
struct failure_with_fiber : std::runtime_error {
    explicit failure_with_fiber(std::shared_ptr<fiber<void>> owned)
        : std::runtime_error("failure"), child(std::move(owned)) {}
    std::shared_ptr<fiber<void>> child;
};

TEST_F(lifetime, an_exception_nobody_fetches_may_wait_when_it_is_destroyed) {
    run_on(driver, [] {
        std::string log;
        {
            const fiber<void> worker = spawn([&] {
                auto child = std::make_shared<fiber<void>>(spawn({.name = "child"}, [&] {
                    const waits_at_end guard{log};
                    this_fiber::sleep_for(1h);
                }));
                this_fiber::yield();
                throw failure_with_fiber(std::move(child));
            });
            this_fiber::yield();
            this_fiber::yield();
        }
        EXPECT_EQ(log, "child waited. ");
    });
}

TEST_F(lifetime, a_fiber_may_own_fibers_which_end_before_it_does) {
    run_on(driver, [] {
        std::string log;
        fiber<void> parent = spawn({.name = "parent"}, [&] {
            std::vector<fiber<void>> children;
            for (int i = 0; i < 3; ++i)
                children.push_back(spawn({.name = "child"}, [&] {
                    const waits_at_end guard{log};
                    this_fiber::sleep_for(1h);
                }));
            this_fiber::yield();
        });
        parent.join();
        EXPECT_EQ(log, "child waited. child waited. child waited. ");
    });
}

TEST_F(lifetime, a_handle_may_be_destroyed_by_another_fiber) {
    run_on(driver, [] {
        std::string log;
        fiber<void> worker = spawn({.name = "worker"}, [&] {
            const waits_at_end guard{log};
            this_fiber::sleep_for(1h);
        });
        this_fiber::yield();
        spawn([moved = std::move(worker)] {}).join();
        EXPECT_EQ(log, "worker waited. ");
    });
}

TEST_F(lifetime, a_handle_may_be_destroyed_by_a_fiber_that_was_never_more_than_ready) {
    run_on(driver, [] {
        bool ran = false;
        {
            const fiber<void> worker = spawn([&] { ran = true; });
        }
        EXPECT_TRUE(ran); // cancellation reaches it at its first blocking call only
    });
}

TEST_F(lifetime, an_exception_from_the_copy_of_an_argument_leaves_nothing_behind) {
    struct refuses {
        explicit refuses(std::shared_ptr<int> counted) : alive(std::move(counted)) {}
        refuses(const refuses& other) : alive(other.alive) { throw std::runtime_error("no copies"); }
        refuses& operator=(const refuses&) = delete;
        ~refuses() = default;
        std::shared_ptr<int> alive;
    };
    run_on(driver, [] {
        const auto alive = std::make_shared<int>(0);
        const refuses argument{alive};
        EXPECT_THROW((void)spawn([](const refuses&) {}, argument), std::runtime_error);
        EXPECT_EQ(alive.use_count(), 2);
    });
}

TEST_F(lifetime, an_exception_from_the_move_of_a_result_arrives_at_join) {
    struct refuses {
        refuses() = default;
        refuses(refuses&& /*other*/) { throw std::runtime_error("no moves"); } // NOLINT
    };
    run_on(driver, [] {
        static refuses here;
        fiber<refuses> worker = spawn([]() -> refuses { return std::move(here); });
        EXPECT_THROW(worker.join(), std::runtime_error);
        EXPECT_FALSE(worker.joinable());
    });
}

} // namespace
