// That a build for tests (-Dslices=random) is one: there fibers yield at places where they rarely do otherwise.

#include "sched/fake_driver.hpp"

#include <coir/fiber.hpp>
#include <coir/this_fiber.hpp>

#include <gtest/gtest.h>

#include <utility>

namespace {

using coir::fiber;
using coir::detail::loop;
using coir::detail::run_on;
namespace this_fiber = coir::this_fiber;

using random_slices = coir::detail::with_fake_driver;

TEST_F(random_slices, end_between_any_two_calls) {
    run_on(driver, [] {
        constexpr int calls = 100;
        constexpr int switches_per_system_call = 4;
        int calls_made = 0;
        int calls_seen = 0; // how often they were another number than the last time
        fiber<void> other = coir::spawn([&] {
            for (int last = -1; calls_made < calls; this_fiber::yield())
                if (std::exchange(last, calls_made) != calls_made)
                    ++calls_seen;
        });
        for (; calls_made < calls; ++calls_made)
            loop::current()->spend(switches_per_system_call);
        other.join();
        EXPECT_GE(calls_seen, calls / 4);
    });
}

} // namespace
