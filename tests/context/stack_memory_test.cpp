// What contexts and generators that come and go ask of the kernel, and what memory their stacks leave behind. (Of fibers:
// tests/sched/stack_memory_test.cpp.)

#include "child_process.hpp"
#include "emulation.hpp"
#include "process_memory.hpp"
#include "refused_system_calls.hpp"

#include <coir/context.hpp>
#include <coir/generator.hpp>

#include <gtest/gtest.h>

#include <alloca.h>
#include <cstddef>
#include <cstring>
#include <unistd.h>
#include <vector>

#if !defined(COIR_ASAN) // which makes system calls of its own, and whose memory is many times as much

namespace {

[[gnu::noinline]] void use_stack(std::size_t bytes) {
    void* const frame = alloca(bytes);
    std::memset(frame, 1, bytes);
    asm volatile("" : : "r"(frame) : "memory");
}

/// What is done again and again costs no system call once it has been done for a while.
template <class Function> void expect_no_system_calls(Function do_it) {
    const auto end = in_child([&] {
        for (int i = 0; i < 600; ++i) // a pool looks at a stack up to its 512th use
            do_it();
        if (!allow_only_to_write_and_exit())
            return false;
        for (int i = 0; i < 100; ++i)
            do_it();
        return true;
    });
    EXPECT_TRUE(end.exited_well()) << end.status << end.errors;
}

TEST(steady_loop, of_generators_makes_no_system_call) {
    if (is_emulated())
        GTEST_SKIP() << "seccomp would count the calls of qemu";
    for (const std::size_t at_once : {std::size_t{1}, std::size_t{60}, std::size_t{120}})
        expect_no_system_calls([at_once] {
            std::vector<coir::generator<int>> generators;
            generators.reserve(at_once);
            for (std::size_t i = 0; i < at_once; ++i)
                generators.emplace_back([](auto& yield) {
                    for (;;)
                        yield(1);
                });
            for (auto& each : generators)
                EXPECT_EQ(*each.begin(), 1);
        });
}

TEST(stack_memory, of_contexts_that_have_been_destroyed_goes_back) {
    const std::size_t before = resident_bytes();
    {
        std::vector<coir::context> contexts;
        for (int i = 0; i < 1000; ++i)
            contexts.emplace_back([](coir::context::self& self) {
                use_stack(std::size_t{100} * 1024);
                self.suspend();
            });
        for (coir::context& each : contexts)
            each.resume();
        EXPECT_GE(resident_bytes() - before, std::size_t{95} << 20);
    }
    EXPECT_LE(resident_bytes() - before, std::size_t{16} << 20); // 128 stacks, and what malloc() keeps
}

} // namespace

#endif
