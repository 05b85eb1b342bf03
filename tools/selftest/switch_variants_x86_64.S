/*
 * The switch taken apart, for coir-selftest: the same frame and the same order as in asm/x86_64_sysv.S, with one duty
 * more from variant to variant. For measuring, by timing_x86_64.cpp: only the last two do all that the ABI asks for.
 *
 *      void selftest_switch_<variant>(void** suspended, void* resumed)
 */

        .file   "switch_variants_x86_64.S"
        .text

/* Registers that a call preserves, and room for the control words. */
        .macro  save_registers
        leaq    -56(%rsp), %rsp
        movq    %r15, 8(%rsp)
        movq    %r14, 16(%rsp)
        movq    %r13, 24(%rsp)
        movq    %r12, 32(%rsp)
        movq    %rbx, 40(%rsp)
        movq    %rbp, 48(%rsp)
        movq    %rsp, (%rdi)
        .endm

        .macro  load_registers
        movq    56(%rsi), %r8
        movq    8(%rsi), %r15
        movq    16(%rsi), %r14
        movq    24(%rsi), %r13
        movq    32(%rsi), %r12
        movq    40(%rsi), %rbx
        movq    48(%rsi), %rbp
        .endm

/* To the other stack. */
        .macro  continue
        leaq    64(%rsi), %rsp
        jmp     *%r8
        .endm

        .macro  function name
        .globl  \name
        .hidden \name
        .type   \name, @function
        .p2align 5
\name:
        .endm

/* The stack pointer and the return address, but as a function: what it takes to be called. */
        function selftest_switch_called
        leaq    -56(%rsp), %rsp
        movq    %rsp, (%rdi)
        movq    56(%rsi), %r8
        continue
        .size   selftest_switch_called, .-selftest_switch_called

/* Its other side: see timing_x86_64.cpp. */
        function selftest_go_back_called
        leaq    selftest_there(%rip), %rdi
        movq    selftest_here(%rip), %rsi
        call    selftest_switch_called
        jmp     selftest_go_back_called
        .size   selftest_go_back_called, .-selftest_go_back_called

        function selftest_switch_registers
        save_registers
        load_registers
        continue
        .size   selftest_switch_registers, .-selftest_switch_registers

/* And the x87 control word, which hardly ever differs, and is slow to load. */
        function selftest_switch_x87
        save_registers
        fnstcw  4(%rsp)
        load_registers
        movzwl  4(%rsp), %ecx
        xorw    4(%rsi), %cx
        jnz     1f
        continue
1:      fldcw   4(%rsi)
        continue
        .size   selftest_switch_x87, .-selftest_switch_x87

/* And MXCSR, whose control bits hardly ever differ, compared. */
        function selftest_switch_mxcsr_compared
        save_registers
        stmxcsr 0(%rsp)
        fnstcw  4(%rsp)
        load_registers
        movl    0(%rsp), %eax
        movzwl  4(%rsp), %ecx
        xorl    0(%rsi), %eax
        xorw    4(%rsi), %cx
        andl    $0xffc0, %eax
        orl     %eax, %ecx
        jnz     1f
        continue
1:      ldmxcsr 0(%rsi)
        fldcw   4(%rsi)
        continue
        .size   selftest_switch_mxcsr_compared, .-selftest_switch_mxcsr_compared

/* Or MXCSR, loaded each time. */
        function selftest_switch_mxcsr_loaded
        save_registers
        stmxcsr 0(%rsp)
        fnstcw  4(%rsp)
        load_registers
        movzwl  4(%rsp), %ecx
        xorw    4(%rsi), %cx
        ldmxcsr 0(%rsi)
        testl   %ecx, %ecx
        jnz     1f
        continue
1:      fldcw   4(%rsi)
        continue
        .size   selftest_switch_mxcsr_loaded, .-selftest_switch_mxcsr_loaded

        .section .note.GNU-stack, "", @progbits
