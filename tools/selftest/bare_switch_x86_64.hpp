#pragma once

/// \file
/// The floor: a switch that does next to nothing. There is no function: it stands in the middle of the caller, saves
/// the stack and frame pointers and where to continue, and tells the compiler that every other register is lost, so
/// that this saves by itself what it needs. (Not all compilers let the frame pointer be lost.) It does no duty of the
/// ABI, and cannot be put into a library.

struct bare_execution {
    void* stack_pointer;
    void (*continue_at)();
    void* frame_pointer;
};

// Nothing is pushed: the compiler may keep values below the stack pointer.
[[gnu::always_inline]] inline void bare_switch(bare_execution& from, bare_execution& to) {
    bare_execution* leaving = &from;
    bare_execution* entering = &to;
    asm volatile("leaq 1f(%%rip), %%rax\n\t"
                 "movq %%rsp, 0(%0)\n\t"
                 "movq %%rax, 8(%0)\n\t"
                 "movq %%rbp, 16(%0)\n\t"
                 "movq 0(%1), %%rsp\n\t"
                 "movq 16(%1), %%rbp\n\t"
                 "jmp *8(%1)\n"
                 "1:"
                 : "+D"(leaving), "+S"(entering)
                 :
                 : "rax", "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "cc", "memory",
                   "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)", "xmm0", "xmm1", "xmm2", "xmm3",
                   "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14",
                   "xmm15");
}
