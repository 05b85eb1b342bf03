#pragma once

// fill_call_compare() of registers_test.cpp for rbx, rbp, r12 to r15.
asm(R"(
        .text
        .p2align 4
        .type   fill_call_compare, @function
fill_call_compare:
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
        pushq   %rdx
        .cfi_adjust_cfa_offset 8
        movq    %rdi, %rax
        movq    %rsi, %rdi
        leaq    1(%rdx), %rbx
        leaq    2(%rdx), %rbp
        leaq    3(%rdx), %r12
        leaq    4(%rdx), %r13
        leaq    5(%rdx), %r14
        leaq    6(%rdx), %r15
        call    *%rax
        popq    %rdx
        .cfi_adjust_cfa_offset -8
        subq    %rdx, %rbx
        subq    %rdx, %rbp
        subq    %rdx, %r12
        subq    %rdx, %r13
        subq    %rdx, %r14
        subq    %rdx, %r15
        xorl    %eax, %eax
        xorl    %ecx, %ecx
        cmpq    $1, %rbx
        setne   %al
        cmpq    $2, %rbp
        setne   %cl
        leal    (%rcx, %rax, 2), %eax
        cmpq    $3, %r12
        setne   %cl
        leal    (%rcx, %rax, 2), %eax
        cmpq    $4, %r13
        setne   %cl
        leal    (%rcx, %rax, 2), %eax
        cmpq    $5, %r14
        setne   %cl
        leal    (%rcx, %rax, 2), %eax
        cmpq    $6, %r15
        setne   %cl
        leal    (%rcx, %rax, 2), %eax
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
        .size   fill_call_compare, .-fill_call_compare
)");
