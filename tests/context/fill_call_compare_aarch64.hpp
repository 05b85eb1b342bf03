#pragma once

// fill_call_compare() of registers_test.cpp for x19 to x29, d8 to d15. A call preserves the low halves of v8 to v15 only.
asm(R"(
        .macro  save_pair first, second, offset
        stp     \first, \second, [sp, \offset]
        .cfi_rel_offset \first, \offset
        .cfi_rel_offset \second, \offset + 8
        .endm

        .macro  load_pair first, second, offset
        ldp     \first, \second, [sp, \offset]
        .cfi_restore \first
        .cfi_restore \second
        .endm

        .macro  compare number
        sub     x9, x9, x2
        cmp     x9, \number
        cset    w9, ne
        orr     w0, w9, w0, lsl 1
        .endm

        .text
        .p2align 4
        .type   fill_call_compare, %function
fill_call_compare:
        .cfi_startproc
        sub     sp, sp, 176
        .cfi_adjust_cfa_offset 176
        save_pair x29, x30, 0
        save_pair x19, x20, 16
        save_pair x21, x22, 32
        save_pair x23, x24, 48
        save_pair x25, x26, 64
        save_pair x27, x28, 80
        save_pair d8, d9, 96
        save_pair d10, d11, 112
        save_pair d12, d13, 128
        save_pair d14, d15, 144
        str     x2, [sp, 160]
        .irp    number, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29
        add     x\number, x2, \number
        .endr
        .irp    number, 8, 9, 10, 11, 12, 13, 14, 15
        add     x9, x2, \number
        fmov    d\number, x9
        .endr
        mov     x9, x0
        mov     x0, x1
        blr     x9
        ldr     x2, [sp, 160]
        mov     w0, 0
        .irp    number, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29
        mov     x9, x\number
        compare \number
        .endr
        .irp    number, 8, 9, 10, 11, 12, 13, 14, 15
        fmov    x9, d\number
        compare \number
        .endr
        load_pair x29, x30, 0
        load_pair x19, x20, 16
        load_pair x21, x22, 32
        load_pair x23, x24, 48
        load_pair x25, x26, 64
        load_pair x27, x28, 80
        load_pair d8, d9, 96
        load_pair d10, d11, 112
        load_pair d12, d13, 128
        load_pair d14, d15, 144
        add     sp, sp, 176
        .cfi_adjust_cfa_offset -176
        ret
        .cfi_endproc
        .size   fill_call_compare, .-fill_call_compare
)");
