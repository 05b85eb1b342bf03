// A debugger or a profiler may look at any moment, also between two instructions of the switch: the unwind tables must be
// right at each of them. The processor's trap flag stops after every instruction; the handler takes a backtrace.

#include "context/frame.hpp"

#include <coir/context.hpp>

#include <gtest/gtest.h>

#if defined(__x86_64__) && !defined(COIR_SWITCH_BOOST) && !defined(COIR_ASAN)

#include <array>
#include <cfenv>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <set>
#include <ucontext.h>
#include <unwind.h>

namespace {

using coir::context;

constexpr std::size_t most_frames = 100;

/// What is seen at one instruction. A signal handler writes it: no memory is allocated.
struct stop {
    std::uintptr_t instruction;
    std::size_t frames;
    bool sees_outside;
    bool sees_inside;
    bool ends;
};

std::array<stop, 20'000> stops;
std::size_t stop_count = 0;
std::uintptr_t outside_function = 0;
std::uintptr_t inside_function = 0;

template <class Function> std::uintptr_t address_of(Function* function) {
    std::uintptr_t address = 0;
    std::memcpy(&address, &function, sizeof address);
    return address;
}

const std::uintptr_t switch_begin = address_of(coir_switch);
constexpr std::uintptr_t switch_size = 140; // the function has about 120 bytes; the next one is not stepped through

_Unwind_Reason_Code look(_Unwind_Context* frame, void* argument) {
    auto& here = *static_cast<stop*>(argument);
    if (++here.frames == most_frames)
        return _URC_END_OF_STACK;
    const std::uintptr_t function = _Unwind_GetRegionStart(frame);
    here.sees_outside = here.sees_outside || function == outside_function;
    here.sees_inside = here.sees_inside || function == inside_function;
    return _URC_NO_REASON;
}

void on_trap(int /*signal*/, siginfo_t* /*information*/, void* interrupted) {
    const auto instruction =
        static_cast<std::uintptr_t>(static_cast<ucontext_t*>(interrupted)->uc_mcontext.gregs[REG_RIP]);
    if (instruction - switch_begin >= switch_size || stop_count == stops.size())
        return;
    stop& here = stops[stop_count++];
    here = {instruction, 0, false, false, false};
    here.ends = _Unwind_Backtrace(look, &here) == _URC_END_OF_STACK && here.frames < most_frames;
}

void step(bool on) {
    if (on)
        asm volatile("pushfq\n\torq $0x100, (%%rsp)\n\tpopfq" : : : "memory", "cc");
    else
        asm volatile("pushfq\n\tandq $~0x100, (%%rsp)\n\tpopfq" : : : "memory", "cc");
}

[[gnu::noinline]] void suspend_twice(context::self& self) {
    std::fesetround(FE_UPWARD); // so that the switch has something to load as well
    self.suspend();
    self.suspend();
    asm volatile("" : : : "memory");
}

[[gnu::noinline]] void resume_twice(context& inside) {
    inside.resume();
    step(true);
    inside.resume();
    step(false);
}

TEST(single_step, backtraces_are_right_at_every_instruction_of_the_switch) {
    outside_function = address_of(resume_twice);
    inside_function = address_of(suspend_twice);
    // The first backtrace of a process allocates and loads.
    stop warm_up{};
    _Unwind_Backtrace(look, &warm_up);

    struct sigaction handler {};
    struct sigaction before {};
    handler.sa_sigaction = on_trap;
    handler.sa_flags = SA_SIGINFO;
    ASSERT_EQ(::sigaction(SIGTRAP, &handler, &before), 0);
    context inside{suspend_twice};
    resume_twice(inside);
    ::sigaction(SIGTRAP, &before, nullptr);

    // In and out again.
    ASSERT_GT(stop_count, 40U);
    std::set<std::uintptr_t> instructions;
    std::size_t outside = 0;
    for (std::size_t i = 0; i < stop_count; ++i) {
        const stop& here = stops[i];
        instructions.insert(here.instruction);
        const auto offset = here.instruction - switch_begin;
        EXPECT_TRUE(here.ends) << "at coir_switch+" << offset;
        EXPECT_NE(here.sees_inside, here.sees_outside) << "one stack at a time, at coir_switch+" << offset;
        outside += here.sees_outside ? 1 : 0;
    }
    EXPECT_GE(instructions.size(), 25U);
    EXPECT_GT(outside, 20U);
    EXPECT_LT(outside, stop_count - 20);
}

} // namespace

#else

TEST(single_step, backtraces_are_right_at_every_instruction_of_the_switch) {
    GTEST_SKIP() << "needs x86-64's trap flag, our own switch, and no sanitizer; elsewhere: single_step_gdb.py";
}

#endif
