/*
 * What only assembler can see of the registers that a call preserves, AArch64 (AAPCS64, section 6.1). Used by
 * registers.cpp; registers_x86_64.S says what the functions do.
 *
 * x29, the frame pointer, is among them: any value will do while no frame is made. Of v8-v15 the lower halves are
 * preserved, d8-d15.
 */

        .file   "registers_aarch64.S"
        .text

/* unsigned selftest_fill_call_compare(void (*call)(void*), void* argument, uint64_t seed, uint64_t damage) */
        .globl  selftest_fill_call_compare
        .hidden selftest_fill_call_compare
        .type   selftest_fill_call_compare, %function
        .p2align 4
selftest_fill_call_compare:
        .cfi_startproc
        hint    #34                             /* bti c */
        sub     sp, sp, #176
        .cfi_adjust_cfa_offset 176
        stp     x29, x30, [sp, #0]
        .cfi_rel_offset x29, 0
        .cfi_rel_offset x30, 8
        stp     x19, x20, [sp, #16]
        .cfi_rel_offset x19, 16
        .cfi_rel_offset x20, 24
        stp     x21, x22, [sp, #32]
        .cfi_rel_offset x21, 32
        .cfi_rel_offset x22, 40
        stp     x23, x24, [sp, #48]
        .cfi_rel_offset x23, 48
        .cfi_rel_offset x24, 56
        stp     x25, x26, [sp, #64]
        .cfi_rel_offset x25, 64
        .cfi_rel_offset x26, 72
        stp     x27, x28, [sp, #80]
        .cfi_rel_offset x27, 80
        .cfi_rel_offset x28, 88
        stp     d8, d9, [sp, #96]
        .cfi_rel_offset d8, 96
        .cfi_rel_offset d9, 104
        stp     d10, d11, [sp, #112]
        .cfi_rel_offset d10, 112
        .cfi_rel_offset d11, 120
        stp     d12, d13, [sp, #128]
        .cfi_rel_offset d12, 128
        .cfi_rel_offset d13, 136
        stp     d14, d15, [sp, #144]
        .cfi_rel_offset d14, 144
        .cfi_rel_offset d15, 152
        stp     x2, x3, [sp, #160]              /* seed, damage */

        mov     x4, x0
        mov     x0, x1
        .irp    number, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29
        add     x\number, x2, #\number
        .endr
        .irp    number, 8, 9, 10, 11, 12, 13, 14, 15
        add     x5, x2, #\number
        fmov    d\number, x5
        .endr
        blr     x4

        ldp     x2, x3, [sp, #160]
        add     x22, x22, x3                    /* the damage */
        mov     w0, #0
        /* One bit each, the last register first. */
        .irp    number, 15, 14, 13, 12, 11, 10, 9, 8
        fmov    x5, d\number
        sub     x5, x5, #\number
        cmp     x5, x2
        cset    w6, ne
        orr     w0, w6, w0, lsl #1
        .endr
        .irp    number, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19
        sub     x5, x\number, #\number
        cmp     x5, x2
        cset    w6, ne
        orr     w0, w6, w0, lsl #1
        .endr

        ldp     d14, d15, [sp, #144]
        ldp     d12, d13, [sp, #128]
        ldp     d10, d11, [sp, #112]
        ldp     d8, d9, [sp, #96]
        ldp     x27, x28, [sp, #80]
        ldp     x25, x26, [sp, #64]
        ldp     x23, x24, [sp, #48]
        ldp     x21, x22, [sp, #32]
        ldp     x19, x20, [sp, #16]
        ldp     x29, x30, [sp, #0]
        add     sp, sp, #176
        .cfi_def_cfa sp, 0
        .irp    number, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30
        .cfi_restore x\number
        .endr
        .irp    number, 8, 9, 10, 11, 12, 13, 14, 15
        .cfi_restore d\number
        .endr
        ret
        .cfi_endproc
        .size   selftest_fill_call_compare, .-selftest_fill_call_compare

/* unsigned selftest_stack_misalignment(uint64_t damage) */
        .globl  selftest_stack_misalignment
        .hidden selftest_stack_misalignment
        .type   selftest_stack_misalignment, %function
        .p2align 4
selftest_stack_misalignment:
        .cfi_startproc
        hint    #34                             /* bti c */
        mov     x1, sp
        sub     x1, x1, x0
        and     w0, w1, #15
        ret
        .cfi_endproc
        .size   selftest_stack_misalignment, .-selftest_stack_misalignment

        .section .rodata
        .globl  selftest_preserved_registers
        .hidden selftest_preserved_registers
        .type   selftest_preserved_registers, %object
selftest_preserved_registers:
        .ascii  "x19 x20 x21 x22 x23 x24 x25 x26 x27 x28 x29 "
        .asciz  "d8 d9 d10 d11 d12 d13 d14 d15"
        .size   selftest_preserved_registers, .-selftest_preserved_registers

        .section .note.GNU-stack, "", %progbits
