#pragma once

// fill_call_compare() of registers_test.cpp for s0 to s11, fs0 to fs11.
asm(R"(
        .macro  compare number
        sub     t0, t0, a2
        addi    t0, t0, -(\number)
        snez    t0, t0
        slli    a0, a0, 1
        or      a0, a0, t0
        .endm

        .text
        .p2align 4
        .type   fill_call_compare, @function
fill_call_compare:
        .cfi_startproc
        addi    sp, sp, -224
        .cfi_adjust_cfa_offset 224
        sd      ra, 216(sp)
        .cfi_rel_offset ra, 216
        sd      a2, 208(sp)
        .irp    number, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
        sd      s\number, 8 * \number(sp)
        .cfi_rel_offset s\number, 8 * \number
        fsd     fs\number, 96 + 8 * \number(sp)
        .cfi_rel_offset fs\number, 96 + 8 * \number
        addi    s\number, a2, 1 + \number
        addi    t0, a2, 13 + \number
        fmv.d.x fs\number, t0
        .endr
        mv      t0, a0
        mv      a0, a1
        jalr    t0
        ld      a2, 208(sp)
        li      a0, 0
        .irp    number, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
        mv      t0, s\number
        compare 1 + \number
        fmv.x.d t0, fs\number
        compare 13 + \number
        ld      s\number, 8 * \number(sp)
        .cfi_restore s\number
        fld     fs\number, 96 + 8 * \number(sp)
        .cfi_restore fs\number
        .endr
        ld      ra, 216(sp)
        .cfi_restore ra
        addi    sp, sp, 224
        .cfi_adjust_cfa_offset -224
        ret
        .cfi_endproc
        .size   fill_call_compare, .-fill_call_compare
)");
