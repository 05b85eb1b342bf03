/// \file
/// switch_floor: what a switch costs on this processor if it does next to nothing, and `coir::context` beside that.
///
/// The floor is a switch without a function: assembler in the middle of the loop, which saves the stack pointer and
/// where to continue, and tells the compiler that every register is lost, so that it saves by itself what it needs. It
/// does no duty of the ABI, cannot be put into a library, and each of its two jumps has one target for ever, so this is
/// not a goal but a unit. x86-64 only; meson leaves this program out elsewhere.

#include <benchmark/benchmark.h>

#include <coir/context.hpp>

#include <array>
#include <cstddef>

namespace {

// Round trips between two looks at the harness.
constexpr int batch = 4096;

struct suspended {
    void* stack_pointer;
    void (*continue_at)();
};

// Nothing is pushed: the compiler may keep values below the stack pointer.
[[gnu::always_inline]] inline void bare_switch(suspended& from, suspended& to) {
    suspended* leaving = &from;
    suspended* entering = &to;
    asm volatile("leaq 1f(%%rip), %%rax\n\t"
                 "movq %%rsp, 0(%0)\n\t"
                 "movq %%rax, 8(%0)\n\t"
                 "movq 0(%1), %%rsp\n\t"
                 "jmp *8(%1)\n"
                 "1:"
                 : "+D"(leaving), "+S"(entering)
                 :
                 : "rax", "rbx", "rcx", "rdx", "rbp", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "cc",
                   "memory", "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)", "xmm0", "xmm1",
                   "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13",
                   "xmm14", "xmm15");
}

suspended outside;
suspended inside;
alignas(16) std::array<std::byte, 16 * 1024> inside_stack;

void go_back_for_ever() {
    for (;;)
        bare_switch(inside, outside);
}

void switch_bare(benchmark::State& state) {
    // As after a call: 8 bytes off the multiple of 16.
    inside = {inside_stack.data() + inside_stack.size() - 8, go_back_for_ever};
    while (state.KeepRunningBatch(batch))
        for (int i = 0; i < batch; ++i)
            bare_switch(outside, inside);
    state.SetItemsProcessed(2 * state.iterations());
}

void switch_by_coir(benchmark::State& state) {
    coir::context other{[](coir::context::self& self) {
        for (;;)
            self.suspend();
    }};
    while (state.KeepRunningBatch(batch))
        for (int i = 0; i < batch; ++i)
            other.resume();
    state.SetItemsProcessed(2 * state.iterations());
}

BENCHMARK(switch_by_coir)->Name("switch_floor/coir");
BENCHMARK(switch_bare)->Name("switch_floor/bare inline switch");

} // namespace

BENCHMARK_MAIN();
