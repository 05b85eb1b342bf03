#pragma once

#include <coir/cancel_scope.hpp>
#include <coir/deadline.hpp>
#include <coir/fiber.hpp>
#include <coir/run.hpp>
#include <coir/this_fiber.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <deque>
#include <random>
#include <thread>
#include <vector>

/// \file
/// Four loops in four threads, and a thread without a loop. COIR_STRESS_SECONDS=n repeats the tests for so long, all in all.
namespace contention {

using namespace std::chrono_literals;

inline constexpr int tests = 7; // which share the time; with each capacity
inline constexpr int loops = 4;
inline constexpr int fibers = 3; // of each loop
inline constexpr int places = loops * fibers + 1;

/// Calls `round` once, or again and again for this test's part of COIR_STRESS_SECONDS.
template <class Round> void stress(Round round) {
    const char* seconds = std::getenv("COIR_STRESS_SECONDS");
    const auto end = std::chrono::steady_clock::now() + 1000ms * (seconds ? std::atoi(seconds) : 0) / tests;
    do
        round();
    while (std::chrono::steady_clock::now() < end && !testing::Test::HasFailure());
}

/// A fiber, or a thread without a loop, that does something.
class place {
public:
    explicit place(int index, bool is_fiber)
        : index(index), is_fiber_(is_fiber), random_(static_cast<unsigned>(index) + 1) {}

    const int index;

    [[nodiscard]] bool chance(unsigned percent) { return below(100) < percent; }
    [[nodiscard]] unsigned below(unsigned bound) { return static_cast<unsigned>(random_() % bound); }

    /// Calls `act(until)`, maybe with a short deadline; a fiber may be cancelled meanwhile. True: it has returned true.
    template <class Act> bool attempt(Act act) {
        const coir::deadline until =
            chance(50) ? coir::deadline{std::chrono::microseconds{below(60)}} : coir::deadline::never();
        if (!is_fiber_)
            return act(until);
        bool done = false;
        coir::cancel_scope scope;
        scope_ = &scope;
        scope.run([&] { done = act(until); });
        scope_ = nullptr;
        return done;
    }

    // By fibers of the same thread.
    void cancel() {
        if (scope_)
            scope_->cancel();
    }

    /// Lets others in, with what it has.
    void pause() {
        if (!chance(30))
            return;
        is_fiber_ ? coir::this_fiber::yield() : std::this_thread::yield();
    }

private:
    const bool is_fiber_;
    std::minstd_rand random_;
    coir::cancel_scope* scope_ = nullptr;
};

/// Calls `work(place&)` at all places at once.
template <class Work> void everywhere(Work work) {
    std::vector<std::thread> threads;
    for (int i = 0; i < loops; ++i)
        threads.emplace_back([&work, i] {
            coir::run([&work, i] {
                std::deque<place> here;
                int working = fibers;
                std::vector<coir::fiber<void>> workers;
                for (int j = 0; j < fibers; ++j)
                    workers.push_back(coir::spawn([&, &own = here.emplace_back(i * fibers + j, true)] {
                        work(own);
                        --working;
                    }));
                while (working > 0) {
                    coir::this_fiber::sleep_for(20us);
                    here[here.front().below(fibers)].cancel();
                }
                for (auto& each : workers)
                    each.join();
            });
        });
    place without_loop{places - 1, false};
    work(without_loop);
    for (auto& each : threads)
        each.join();
}

} // namespace contention
