#pragma once

#include "sched/loop.hpp"
#include "sched/loop_driver.hpp"

#include <coir/deadline.hpp>
#include <coir/detail/fiber_task.hpp>
#include <coir/detail/wait_record.hpp>
#include <coir/run.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <map>
#include <type_traits>
#include <utility>

namespace coir::detail {

/// An event loop without a system: its clock moves only when all fibers wait, and then at once, to the next event or
/// deadline. Events are callbacks at a time, in the order in which they were added; they run where libev's would.
class fake_driver final : public loop_driver {
public:
    [[nodiscard]] loop_time now() noexcept override { return now_ += look_takes_; }

    void run_once(loop_time until) override {
        ++looks_;
        if (!events_.empty() && events_.begin()->first <= now_)
            return run_due_events();
        if (until == without_waiting)
            return;
        const loop_time next = events_.empty() ? for_ever : events_.begin()->first;
        if (next == for_ever && until == for_ever) {
            std::fputs("fake_driver: all fibers wait, and nothing will ever happen\n", stderr);
            std::abort();
        }
        if (now_ < std::min(next, until))
            now_ = std::min(next, until);
        run_due_events();
    }

    void notify() noexcept override { ++notifications_; }

    /// Calls `event` when the clock is `time` after the start.
    void at(std::chrono::nanoseconds time, std::function<void()> event) {
        events_.emplace(start_ + time.count(), std::move(event));
    }

    /// Time passes although the fibers do not wait: they compute.
    void advance(std::chrono::nanoseconds time) noexcept { now_ += time.count(); }

    /// As advance(), at each look at the clock.
    void advance_at_each_look(std::chrono::nanoseconds time) noexcept { look_takes_ = time.count(); }

    /// Since the start.
    [[nodiscard]] std::chrono::nanoseconds elapsed() const noexcept { return std::chrono::nanoseconds{now_ - start_}; }

    /// How often the loop has looked for IO.
    [[nodiscard]] std::size_t looks() const noexcept { return looks_; }

    [[nodiscard]] std::size_t notifications() const noexcept { return notifications_; }

private:
    void run_due_events() {
        // Those that an event adds are for the next time.
        const auto end = events_.upper_bound(now_);
        std::multimap<loop_time, std::function<void()>> due;
        while (events_.begin() != end)
            due.insert(due.end(), events_.extract(events_.begin()));
        for (const auto& [time, event] : due)
            event();
    }

    static constexpr loop_time start_ = 1'000'000'000'000; // not the system's clock, and not zero
    loop_time now_ = start_;
    loop_time look_takes_ = 0;
    std::multimap<loop_time, std::function<void()>> events_;
    std::size_t looks_ = 0;
    std::size_t notifications_ = 0;
};

/// A driver whose loop really sleeps, until another thread notifies it, which can wait for that moment. Deadlines come at
/// once.
class sleeping_driver final : public loop_driver {
public:
    [[nodiscard]] loop_time now() noexcept override { return now_; }

    void run_once(loop_time until) override {
        if (until == for_ever) {
            sleeps_.fetch_add(1);
            sleeps_.notify_all();
            notified_.wait(false);
        } else if (until != without_waiting) {
            now_ = std::max(now_, until);
        }
        notified_.store(false);
    }

    void notify() noexcept override {
        ++notifications_;
        notified_.store(true);
        notified_.notify_all();
    }

    /// For other threads: returns when the loop has gone to sleep `times` times.
    void await_sleep(int times = 1) const noexcept {
        for (int seen = sleeps_.load(); seen < times; seen = sleeps_.load())
            sleeps_.wait(seen);
    }

    [[nodiscard]] int notifications() const noexcept { return notifications_; }

private:
    loop_time now_ = 1'000'000'000'000;
    std::atomic<bool> notified_{false};
    std::atomic<int> sleeps_{0};
    std::atomic<int> notifications_{0};
};

/// coir::run() on a driver.
template <class Function>
std::invoke_result_t<Function&> run_on(loop_driver& driver, Function&& function, const loop_options& options = {}) {
    using result = std::invoke_result_t<Function&>;
    auto call = [&function]() -> result { return function(); };
    fiber_task<result, decltype(call)> main{call};
    run_loop_on(driver, main, options);
    if (main.failure)
        rethrow_failure(main);
    return main.take();
}

/// Something to wait for, of which the test says when it happens: what a descriptor is for the loop.
class fake_source {
public:
    /// Waits for notify_one(), `until`, or cancellation; says which it was. `notified` may be a hint only.
    wake_reason wait(deadline until = {}) {
        loop& here = loop::of_running_fiber("fake_source::wait()");
        wait_record record{wait_kind::readable, this};
        waiters_.push_back(record);
        ++waits_;
        return here.wait(record, until);
    }

    /// Wakes who has waited longest; false if there is nobody, or somebody else was first.
    bool notify_one(wake_reason reason = wake_reason::notified) {
        return !waiters_.empty() && loop::current()->wake(waiters_.pop_front(), reason);
    }

    [[nodiscard]] bool has_waiters() const noexcept { return !waiters_.empty(); }
    [[nodiscard]] std::size_t waits() const noexcept { return waits_; }

private:
    intrusive_list<wait_record> waiters_;
    std::size_t waits_ = 0;
};

/// Tests with such a loop each.
class with_fake_driver : public testing::Test {
protected:
    fake_driver driver;
};

} // namespace coir::detail
