// Random use of everything, by the public interface and on real clocks: what must hold whatever happens.
//
// COIR_STRESS_SECONDS (5 if unset) says how long, COIR_STRESS_SEED repeats a run as far as the clock allows.

#include <coir/cancelled.hpp>
#include <coir/context.hpp>
#include <coir/fiber.hpp>
#include <coir/run.hpp>
#include <coir/this_fiber.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <random>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace {

using coir::cancelled;
using coir::context;
using coir::fiber;
using coir::fiber_options;
using coir::spawn;
namespace this_fiber = coir::this_fiber;
using namespace std::chrono_literals;

unsigned from_environment(const char* name, unsigned otherwise) {
    const char* value = std::getenv(name); // NOLINT(concurrency-mt-unsafe)
    return value ? static_cast<unsigned>(std::strtoul(value, nullptr, 10)) : otherwise;
}

/// What a worker throws, if it throws.
struct failure : std::runtime_error {
    explicit failure(unsigned which) : std::runtime_error(std::to_string(which)), seed(which) {}
    unsigned seed;
};

constexpr unsigned answer(unsigned seed) {
    return seed * 2654435761U;
}

/// The fibers of one loop, and what they do to each other.
class world {
public:
    explicit world(unsigned seed) : random_(seed) {}
    world(const world&) = delete;
    world& operator=(const world&) = delete;

    [[nodiscard]] long alive() const { return alive_; }
    [[nodiscard]] std::size_t steps() const { return steps_; }

    /// The first fiber of the loop.
    void run_until(std::chrono::steady_clock::time_point end) {
        while (std::chrono::steady_clock::now() < end) {
            while (alive_ < 200 && kept_.size() < most_kept)
                keep(make_worker(3));
            pause(random_);
            if (kept_.size() >= most_kept)
                end_of(take(random_));
        }
        if (random_() % 2 == 0)
            collect(); // otherwise the end of the loop finds them
    }

    /// Ends those that are kept, also after the loop has gone.
    void collect() {
        while (!kept_.empty())
            end_of(take(random_));
    }

private:
    struct worker {
        fiber<unsigned> handle;
        unsigned seed = 0;
        [[nodiscard]] bool may_throw() const { return handle.joinable() && seed % 4 == 0; }
    };

    worker make_worker(int depth, bool may_throw = true) {
        auto seed = static_cast<unsigned>(random_());
        if (!may_throw)
            seed |= 1;
        const std::size_t size = seed % 5 == 0 ? 256 * 1024 : 0;
        return {spawn(
                    fiber_options{.name = seed % 3 == 0 ? "named" : "", .stack_size = size},
                    [this, depth](unsigned its_seed) { return live(its_seed, depth); }, seed),
                seed};
    }

    // Never destroyed here: two that destroyed each other's handles would wait for each other.
    void keep(worker&& made) { kept_.push_back(std::move(made)); }

    /// One of those kept, for the caller alone; or none.
    worker take(std::minstd_rand& random) {
        if (kept_.empty())
            return {};
        std::swap(kept_[random() % kept_.size()], kept_.back());
        worker taken = std::move(kept_.back());
        kept_.pop_back();
        return taken;
    }

    static void pause(std::minstd_rand& random) {
        if (random() % 2 == 0)
            return this_fiber::yield();
        const int number = static_cast<int>(random() % 1000);
        errno = number;
        this_fiber::sleep_for(std::chrono::microseconds{random() % 300});
        EXPECT_EQ(errno, number);
    }

    static bool is_cancelled() {
        try {
            return this_fiber::cancel_requested();
        } catch (const std::logic_error&) { // after the loop
            return false;
        }
    }

    /// Whatever the worker's end was, it must be its own.
    static void expect_end_of(worker& ended) {
        try {
            EXPECT_EQ(ended.handle.join(), answer(ended.seed));
        } catch (const failure& error) {
            EXPECT_EQ(ended.seed % 4, 0U);
            EXPECT_EQ(error.seed, ended.seed);
            EXPECT_EQ(error.what(), std::to_string(ended.seed));
        } catch (const cancelled&) { // the worker or the caller
            if (is_cancelled())
                throw;
        }
    }

    /// Ends a worker: by destroying its handle, unless that would put an exception into the log.
    static void end_of(worker&& other) {
        if (!other.may_throw())
            return void(worker{std::move(other)});
        other.handle.cancel();
        try {
            expect_end_of(other);
        } catch (const cancelled&) {}
    }

    void join(worker&& other, std::minstd_rand& random) {
        if (!other.handle.joinable())
            return;
        if (other.handle.id() == this_fiber::id())
            return keep(std::move(other));
        try {
            if (other.handle.wait(std::chrono::microseconds{random() % 500}))
                expect_end_of(other);
            else
                keep(std::move(other));
        } catch (const cancelled&) {
            if (other.handle.joinable())
                keep(std::move(other));
            throw;
        }
    }

    static void throw_and_catch(std::minstd_rand& random) {
        const auto number = static_cast<unsigned>(random());
        try {
            struct pauses {
                std::minstd_rand& random;
                ~pauses() {
                    EXPECT_EQ(std::uncaught_exceptions(), 1);
                    pause(random);
                    EXPECT_EQ(std::uncaught_exceptions(), 1);
                }
            } const at_end{random};
            throw failure(number);
        } catch (const failure& error) {
            pause(random);
            EXPECT_EQ(error.seed, number);
        }
    }

    static void use_context(std::minstd_rand& random) {
        unsigned sum = 0;
        context inside{[&](context::self& self) {
            for (unsigned i = 0; i < 4; ++i) {
                if (random() % 2 == 0)
                    pause(random);
                sum += i;
                self.suspend();
            }
        }};
        for (auto turns = random() % 6; turns > 0 && inside.resume(); --turns)
            pause(random);
        EXPECT_LE(sum, 6U);
    }

    void step(std::minstd_rand& random, int depth) {
        ++steps_;
        switch (random() % 12) {
        case 0:
            if (depth > 0 && kept_.size() < most_kept)
                keep(make_worker(depth - 1));
            break;
        case 1:
            if (depth > 0 && alive_ < 2000) {
                worker child = make_worker(depth - 1, false);
                expect_end_of(child);
            }
            break;
        case 2:
            if (depth > 0 && alive_ < 2000) {
                worker child = make_worker(depth - 1, false);
                pause(random);
                end_of(std::move(child));
            }
            break;
        case 3:
            join(take(random), random);
            break;
        case 4:
            if (!kept_.empty())
                kept_[random() % kept_.size()].handle.cancel();
            break;
        case 5:
            if (worker other = take(random); other.may_throw())
                keep(std::move(other));
            else if (other.handle.joinable())
                other.handle.detach();
            break;
        case 6:
            throw_and_catch(random);
            break;
        case 7:
            use_context(random);
            break;
        default:
            pause(random);
        }
    }

    unsigned live(unsigned seed, int depth) {
        struct census {
            long& alive;
            explicit census(long& count) : alive(count) { ++alive; }
            ~census() { --alive; }
        } const counted{alive_};
        EXPECT_EQ(std::uncaught_exceptions(), 0);
        EXPECT_EQ(std::current_exception(), nullptr);

        std::minstd_rand random{seed};
        std::array<volatile unsigned, 64> mine{};
        for (auto& each : mine)
            each = seed;
        for (auto steps = random() % 10; steps > 0; --steps)
            step(random, depth);
        for (const auto& each : mine)
            EXPECT_EQ(each, seed);
        if (seed % 4 == 0 && random() % 2 == 0)
            throw failure(seed);
        return answer(seed);
    }

    static constexpr std::size_t most_kept = 300;

    std::minstd_rand random_;
    std::vector<worker> kept_;
    long alive_ = 0;
    std::size_t steps_ = 0;
};

/// One loop after the other, until `end`. The end of a loop is part of the test.
std::size_t live_in_loops(unsigned seed, std::chrono::steady_clock::time_point end) {
    std::size_t steps = 0;
    while (std::chrono::steady_clock::now() < end && !testing::Test::HasFailure()) {
        world here{seed++};
        const auto round = std::min(end, std::chrono::steady_clock::now() + 400ms);
        coir::run([&] { here.run_until(round); });
        here.collect();
        EXPECT_EQ(here.alive(), 0);
        steps += here.steps();
    }
    return steps;
}

TEST(stress, everything_at_random) {
    const unsigned seconds = from_environment("COIR_STRESS_SECONDS", 5);
    const unsigned seed = from_environment("COIR_STRESS_SEED", std::random_device{}());
    std::cout << "COIR_STRESS_SEED=" << seed << '\n';

    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{seconds};
    std::array<std::size_t, 2> steps{};
    std::thread other([&] { steps[1] = live_in_loops(seed + 1'000'000, end); });
    steps[0] = live_in_loops(seed, end);
    other.join();
    std::cout << steps[0] << " and " << steps[1] << " steps\n";
    EXPECT_GT(steps[0], 0U);
    EXPECT_GT(steps[1], 0U);
}

} // namespace
