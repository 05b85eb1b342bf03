/*
 * What only assembler can see of the registers that a call preserves, x86-64 System V ABI. Used by registers.cpp.
 */

        .file   "registers_x86_64.S"
        .text

/*
 * unsigned selftest_fill_call_compare(void (*call)(void*), void* argument, uint64_t seed, uint64_t damage)
 *
 * Fills each preserved register with a value made of `seed`, calls, and returns a bit for each register that has
 * another value then; bit 0 is the first name of selftest_preserved_registers. `damage` is added to one of them after the
 * call: to see that it would be found.
 */
        .globl  selftest_fill_call_compare
        .hidden selftest_fill_call_compare
        .type   selftest_fill_call_compare, @function
        .p2align 4
selftest_fill_call_compare:
        .cfi_startproc
        endbr64
        pushq   %rbp
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset rbp, 0
        pushq   %rbx
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset rbx, 0
        pushq   %r12
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset r12, 0
        pushq   %r13
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset r13, 0
        pushq   %r14
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset r14, 0
        pushq   %r15
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset r15, 0
        subq    $24, %rsp                       /* seed, damage; and rsp is a multiple of 16 before the call */
        .cfi_adjust_cfa_offset 24
        movq    %rdx, 0(%rsp)
        movq    %rcx, 8(%rsp)

        movq    %rdi, %rax
        movq    %rsi, %rdi
        leaq    1(%rdx), %rbx
        leaq    2(%rdx), %rbp
        leaq    3(%rdx), %r12
        leaq    4(%rdx), %r13
        leaq    5(%rdx), %r14
        leaq    6(%rdx), %r15
        call    *%rax

        addq    8(%rsp), %r13                   /* the damage */
        movq    0(%rsp), %rdx
        xorl    %eax, %eax
        /* One bit each, the last register first: is it still the seed and its number? */
        .irp    number_and_register, 6(%r15), 5(%r14), 4(%r13), 3(%r12), 2(%rbp), 1(%rbx)
        leaq    -\number_and_register, %rcx
        cmpq    %rdx, %rcx
        setne   %cl
        movzbl  %cl, %ecx
        leal    (%rcx, %rax, 2), %eax
        .endr

        addq    $24, %rsp
        .cfi_adjust_cfa_offset -24
        popq    %r15
        .cfi_adjust_cfa_offset -8
        .cfi_restore r15
        popq    %r14
        .cfi_adjust_cfa_offset -8
        .cfi_restore r14
        popq    %r13
        .cfi_adjust_cfa_offset -8
        .cfi_restore r13
        popq    %r12
        .cfi_adjust_cfa_offset -8
        .cfi_restore r12
        popq    %rbx
        .cfi_adjust_cfa_offset -8
        .cfi_restore rbx
        popq    %rbp
        .cfi_adjust_cfa_offset -8
        .cfi_restore rbp
        ret
        .cfi_endproc
        .size   selftest_fill_call_compare, .-selftest_fill_call_compare

/*
 * unsigned selftest_stack_misalignment(uint64_t damage)
 *
 * By how many bytes the caller's stack pointer misses a multiple of 16 at the call, if it were lower by `damage`.
 */
        .globl  selftest_stack_misalignment
        .hidden selftest_stack_misalignment
        .type   selftest_stack_misalignment, @function
        .p2align 4
selftest_stack_misalignment:
        .cfi_startproc
        endbr64
        leaq    8(%rsp), %rax                   /* without the return address */
        subq    %rdi, %rax
        andl    $15, %eax
        ret
        .cfi_endproc
        .size   selftest_stack_misalignment, .-selftest_stack_misalignment

        .section .rodata
        .globl  selftest_preserved_registers
        .hidden selftest_preserved_registers
        .type   selftest_preserved_registers, @object
selftest_preserved_registers:
        .asciz  "rbx rbp r12 r13 r14 r15"
        .size   selftest_preserved_registers, .-selftest_preserved_registers

        .section .note.GNU-stack, "", @progbits
