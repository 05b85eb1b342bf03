#pragma once

#include "sched/fake_driver.hpp"

#include <coir/cancel_scope.hpp>
#include <coir/fiber.hpp>
#include <coir/this_fiber.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <deque>
#include <functional>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

/// \file
/// What happens in a random sequence of operations is what happens in a few lines of sequential code, the model.
///
/// Time passes in steps of a millisecond. At the beginning of each the main fiber, which the others do not interrupt, does
/// some things at random: cancels a wait, or what the test lets it do, like setting an event. Then it tells an actor to do
/// something, and lets all run until they wait. Deadlines are between two steps, and never two at once; but when the
/// clock jumps several have passed at the loop's next look at it.
namespace coir::detail {

using namespace std::chrono_literals;

/// A fiber that does what it is told, one thing after the other.
class actor {
public:
    /// Something that may wait until then, and says how it ended.
    using task = std::function<std::string(deadline)>;

    explicit actor(std::size_t number) : index(number) {}

    const std::size_t index;
    /// What has become of what it was told. By the model; "waits" at the beginning.
    std::string expected = "nothing";

    [[nodiscard]] bool waits() const { return expected == "waits"; }
    /// What has become of it really.
    [[nodiscard]] const std::string& seen() const noexcept { return seen_; }

private:
    friend class experiment;

    void live() {
        while (told_.wait() == wake_reason::notified && task_) {
            cancel_scope scope;
            scope_ = &scope;
            if (!scope.run([this] { seen_ = perform(); }))
                seen_ = "cancelled";
            scope_ = nullptr;
        }
    }

    std::string perform() {
        try {
            return task_(until_);
        } catch (const std::system_error& error) {
            return error.code() == std::errc::timed_out     ? "timed out"
                   : error.code() == std::errc::broken_pipe ? "closed"
                                                            : error.code().message();
        } catch (const std::logic_error&) {
            return "misuse";
        }
    }

    std::string seen_ = "nothing";
    task task_;
    deadline until_;
    std::chrono::nanoseconds expires_{}; // until_, on the driver's clock
    cancel_scope* scope_ = nullptr;      // around task_, while it runs
    fake_source told_;
    fiber<void> self_;
};

/// A random sequence. Its `Model`s have
///
///     void give_up(actor& one, const char* why);     // the wait of `one` ends, if nothing else has ended it before
///     void settle();                                 // all that can go on has gone on
class experiment {
public:
    experiment(fake_driver& driver, unsigned seed, std::size_t actors) : driver_(driver), random_(seed) {
        for (std::size_t i = 0; i < actors; ++i) {
            actor& one = actors_.emplace_back(i);
            one.self_ = spawn([&one] { one.live(); });
        }
        sleep();
    }

    /// Less than `bound`.
    [[nodiscard]] std::size_t below(std::size_t bound) { return random_() % bound; }
    [[nodiscard]] bool chance(unsigned percent) { return below(100) < percent; }

    /// For the message of a failure.
    void note(const std::string& what) { history_ += what + '\n'; }

    /// Tells `one`, which does nothing, to do something that need not wait, or may wait for ever, or may wait for some time.
    void tell(actor& one, const std::string& what, actor::task task, bool may_be_limited = true) {
        const bool limited = may_be_limited && chance(40);
        // Different ones end at different times, in the order in which they were told.
        one.expires_ = driver_.elapsed() + below(6) * 1ms - 1us + ++limits_ * 1ns;
        note("  " + std::to_string(one.index) + ": " + what +
             (limited ? " until " + std::to_string(one.expires_.count()) : ""));
        if (!limited)
            one.expires_ = std::chrono::nanoseconds::max();
        one.until_ = limited ? at(one.expires_) : deadline::never();
        one.task_ = std::move(task);
        one.expected = "waits";
        one.seen_ = "waits";
        one.told_.notify_one();
    }

    /// `steps` of them: `interfere()` is what the main fiber may do, `act(one)` tells something to an actor that does nothing.
    template <class Model, class Interfere, class Act>
    void play(int steps, Model& model, Interfere interfere, Act act) {
        for (int i = 0; i < steps && !testing::Test::HasFailure(); ++i) {
            note("at " + std::to_string(driver_.elapsed().count()));
            while (chance(35))
                if (chance(50))
                    cancel(actors_[below(actors_.size())], model);
                else
                    interfere();
            actor& one = actors_[below(actors_.size())];
            if (!one.scope_ && chance(90)) {
                act(one);
            } else if (chance(30)) {
                note("  the clock jumps");
                driver_.advance(below(4) * 1ms);
            }
            let_all_run(model);
        }
    }

    /// Ends all waits. `release(one)` tells an actor that waits for nothing to give back something that it has; false if there
    /// is nothing.
    template <class Model, class Release> void finish(Model& model, Release release) {
        const auto end_waits = [&] {
            for (actor& each : actors_)
                cancel(each, model);
            model.settle();
            let_all_run(model);
            return !testing::Test::HasFailure();
        };
        while (end_waits() && std::ranges::any_of(actors_, release)) {}
        for (actor& each : actors_) {
            each.task_ = nullptr;
            each.told_.notify_one();
        }
    }
    template <class Model> void finish(Model& model) {
        finish(model, [](actor&) { return false; });
    }

    [[nodiscard]] std::deque<actor>& actors() noexcept { return actors_; }

private:
    using nanoseconds = std::chrono::nanoseconds;

    [[nodiscard]] deadline at(nanoseconds time) {
        return deadline::clock::time_point{nanoseconds{driver_.now()} - driver_.elapsed() + time};
    }

    void sleep() { this_fiber::sleep_until(at(driver_.elapsed() + 1ms)); }

    template <class Model> void cancel(actor& one, Model& model) {
        if (!one.scope_)
            return;
        note("  " + std::to_string(one.index) + " is cancelled");
        one.scope_->cancel();
        model.give_up(one, "cancelled");
    }

    template <class Model> void let_all_run(Model& model) {
        const nanoseconds look = driver_.elapsed();
        sleep();
        model.settle();
        std::vector<actor*> expired;
        for (actor& each : actors_)
            if (each.waits() && each.expires_ <= driver_.elapsed())
                expired.push_back(&each);
        std::ranges::sort(expired, {}, &actor::expires_);
        for (std::size_t i = 0; i < expired.size(); ++i) {
            model.give_up(*expired[i], "timed out");
            if (i + 1 == expired.size() || expired[i + 1]->expires_ > look) // else the loop sees the next one, too
                model.settle();
        }
        for (const actor& each : actors_)
            EXPECT_EQ(each.seen(), each.expected) << "of " << each.index << "; this has happened:\n" << history_;
    }

    fake_driver& driver_;
    std::minstd_rand random_;
    int limits_ = 0;
    std::string history_;
    std::deque<actor> actors_;
};

/// Calls `check(driver, seed)` with `seeds` different ones, each on a loop of its own; COIR_MODEL_SEEDS=n: so many times more;
/// COIR_STRESS_SEED=n: with this one.
template <class Check> void for_random_seeds(unsigned seeds, Check check) {
    const auto from_environment = [](const char* name) -> unsigned {
        const char* value = std::getenv(name);
        return value ? static_cast<unsigned>(std::atoi(value)) : 0;
    };
    const unsigned only = from_environment("COIR_STRESS_SEED");
    const unsigned last = only > 0 ? only : seeds * std::max(from_environment("COIR_MODEL_SEEDS"), 1U);
    for (unsigned seed = only > 0 ? only : 1; seed <= last && !testing::Test::HasFailure(); ++seed) {
        SCOPED_TRACE("COIR_STRESS_SEED=" + std::to_string(seed));
        fake_driver driver;
        run_on(driver, [&] { check(driver, seed); });
    }
}

} // namespace coir::detail
