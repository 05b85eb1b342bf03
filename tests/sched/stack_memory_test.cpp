// What becomes of the memory of stacks that have been deep once, and what a steady loop asks of the kernel (hazards C7, C8).

#include "child_process.hpp"
#include "emulation.hpp"
#include "process_memory.hpp"
#include "refused_system_calls.hpp"
#include "sched/fake_driver.hpp"

#include <coir/fiber.hpp>
#include <coir/run.hpp>
#include <coir/this_fiber.hpp>
#include <coir/with_timeout.hpp>

#include <gtest/gtest.h>

#include <alloca.h>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <memory>
#include <vector>

namespace {

using coir::spawn;
using coir::detail::fake_driver;
using coir::detail::run_on;
namespace this_fiber = coir::this_fiber;
using namespace std::chrono_literals;

#if defined(COIR_ASAN)
constexpr bool memory_is_measured = false; // AddressSanitizer's own is many times as much
constexpr int many = 500;
constexpr int some = 50;
#else
constexpr bool memory_is_measured = true;
constexpr int many = 10'000; // a gigabyte of deep stacks, so only once
constexpr int some = 1'000;
#endif
constexpr std::size_t deep = std::size_t{100} * 1024;

[[gnu::noinline]] void use_stack(std::size_t bytes) {
    void* const frame = alloca(bytes);
    std::memset(frame, 1, bytes);
    asm volatile("" : : "r"(frame) : "memory");
}

class stack_memory : public testing::Test {
protected:
    void expect_mebibytes(std::size_t least, std::size_t most) const {
        if (!memory_is_measured)
            return;
        const std::size_t mebibytes = (resident_bytes() - before) >> 20;
        EXPECT_GE(mebibytes, least);
        EXPECT_LE(mebibytes, most);
    }

    fake_driver driver; // its clock is virtual: the time after which a pool gives memory back costs none
    std::size_t before = resident_bytes();
};

TEST_F(stack_memory, of_ended_fibers_goes_back) {
    run_on(driver, [&] {
        for (int i = 0; i < many; ++i)
            spawn([] {
                use_stack(deep);
                this_fiber::yield();
            }).detach();
        this_fiber::yield();
        expect_mebibytes(950, 1200);
        this_fiber::sleep_for(1s);
        expect_mebibytes(0, 16); // what the pool keeps, and then some
    });
}

TEST_F(stack_memory, of_those_who_use_the_stacks_next_is_what_they_need) {
    run_on(driver, [&] {
        for (int i = 0; i < some; ++i)
            spawn([] {
                use_stack(deep);
                this_fiber::yield();
            }).detach();
        this_fiber::yield();
        this_fiber::yield(); // they have ended
        for (int i = 0; i < some; ++i)
            spawn([] { this_fiber::sleep_for(1s); }).detach();
        this_fiber::yield();
        expect_mebibytes(12, 24); // four pages each
        this_fiber::sleep_for(2s);
        expect_mebibytes(0, 10);
    });
}

TEST_F(stack_memory, of_fibers_that_live_on_goes_back_when_they_say_so) {
    run_on(driver, [&] {
        for (int i = 0; i < some; ++i)
            spawn([] {
                use_stack(deep);
                this_fiber::trim_stack();
                this_fiber::sleep_for(1h);
            }).detach();
        this_fiber::yield();
        expect_mebibytes(3, 12);
    });
}

TEST_F(stack_memory, is_in_small_pages) {
    run_on(driver, [&] {
        for (int i = 0; i < many; ++i)
            spawn([] { this_fiber::sleep_for(1h); }).detach();
        this_fiber::yield();
        expect_mebibytes(30, 80);
        // Of the whole process: nothing else in it asks for huge pages, either, unless the system gives them to all.
        const std::size_t huge = kibibytes_in("/proc/self/smaps", "AnonHugePages");
        EXPECT_LE(huge, std::size_t{64} << 20);
    });
}

#if !defined(COIR_ASAN) // which makes system calls of its own

/// What a loop does again and again costs no system call once it has done it for a while.
template <class Function> void expect_no_system_calls(Function do_it) {
    const auto end = in_child([&] {
        fake_driver driver;
        return run_on(driver, [&] {
            for (int i = 0; i < 3000; ++i)
                do_it();
            if (!allow_only_to_write_and_exit())
                return false;
            for (int i = 0; i < 3000; ++i)
                do_it();
            ::_exit(0); // the end of the loop unmaps its stacks
        });
    });
    EXPECT_TRUE(end.exited_well()) << end.status << end.errors;
}

TEST(steady_loop, that_spawns_and_joins_makes_no_system_call) {
    if (is_emulated())
        GTEST_SKIP() << "seccomp would count the calls of qemu";
    expect_no_system_calls([] { spawn([] {}).join(); });
    expect_no_system_calls([] { spawn([] { this_fiber::yield(); }).join(); });
}

TEST(steady_loop, of_deep_fibers_makes_no_system_call) {
    if (is_emulated())
        GTEST_SKIP() << "seccomp would count the calls of qemu";
    expect_no_system_calls([] { spawn(use_stack, deep).join(); });
}

// It counts its scopes with deadlines, to have room for all of them.
TEST(steady_loop, of_deadlines_that_are_met_or_not_makes_no_system_call) {
    if (is_emulated())
        GTEST_SKIP() << "seccomp would count the calls of qemu";
    expect_no_system_calls([] { coir::with_timeout(1h, [] { this_fiber::yield(); }); });
    expect_no_system_calls([] { EXPECT_FALSE(coir::try_with_timeout(1ms, [] { this_fiber::sleep_for(1h); })); });
}

// More stacks than the pool keeps come and go, and now and then the loop has nothing to do.
TEST(steady_loop, of_many_fibers_that_sleep_makes_no_system_call) {
    if (is_emulated())
        GTEST_SKIP() << "seccomp would count the calls of qemu";
    expect_no_system_calls([] {
        for (int i = 0; i < 200; ++i)
            spawn([i] { this_fiber::sleep_for(std::chrono::milliseconds{i / 50}); }).detach();
        this_fiber::sleep_for(5ms);
    });
}

TEST(steady_loop, is_watched_by_a_test_that_sees_system_calls) {
    if (is_emulated())
        GTEST_SKIP() << "seccomp would count the calls of qemu";
    const auto end = in_child([] { return allow_only_to_write_and_exit() && ::getppid() != 0; });
    EXPECT_TRUE(end.was_killed_by(SIGSYS)) << end.status;
}

#endif

} // namespace
