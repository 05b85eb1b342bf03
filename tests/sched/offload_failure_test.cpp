// What of offload() ends up on stderr, or needs a process with limits.

#include "child_process.hpp"
#include "emulation.hpp"

#include <coir/cancelled.hpp>
#include <coir/fiber.hpp>
#include <coir/offload.hpp>
#include <coir/run.hpp>
#include <coir/this_fiber.hpp>

#include <gtest/gtest.h>

#include <future>
#include <stdexcept>
#include <sys/resource.h>
#include <system_error>

namespace {

using coir::offload;
using coir::offload_pool;
using coir::run;

TEST(offload, failing_when_nobody_waits_any_more_says_so) {
    const child_end end = in_child([] {
        std::promise<void> begin;
        std::promise<void> release;
        offload_pool pool{{.name = "lonely"}}; // whose destructor waits for the function
        run([&] {
            coir::fiber<void> waiter = coir::spawn([&] {
                offload(pool, [&] {
                    begin.set_value();
                    release.get_future().wait();
                    throw std::runtime_error("disk full");
                });
            });
            coir::this_fiber::yield();
            begin.get_future().wait();
            waiter.cancel();
            EXPECT_THROW(waiter.join(), coir::cancelled);
        });
        release.set_value();
        return !testing::Test::HasFailure();
    });
    EXPECT_TRUE(end.exited_well()) << end.errors;
    EXPECT_TRUE(end.says("\"lonely\" failed when nobody waited for it any more: disk full")) << end.errors;
}

#if !defined(COIR_ASAN) && !defined(COIR_TSAN) // which need more address space than any limit

TEST(offload, without_a_thread_says_so_and_goes_on) {
    if (is_emulated())
        GTEST_SKIP() << "the limit would be the emulator's";
    const child_end end = in_child([] {
        offload_pool pool;
        return run([&] {
            rlimit limit{0, RLIM_INFINITY};
            ::setrlimit(RLIMIT_AS, &limit);
            bool refused = false;
            try {
                offload(pool, [] {});
            } catch (const std::system_error& error) {
                refused = error.code() == std::errc::resource_unavailable_try_again;
            }
            limit.rlim_cur = RLIM_INFINITY;
            ::setrlimit(RLIMIT_AS, &limit);
            return refused && pool.thread_count() == 0 && offload(pool, [] { return true; });
        });
    });
    EXPECT_TRUE(end.exited_well()) << end.errors;
}

#endif

} // namespace
