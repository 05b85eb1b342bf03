/*
 * What only assembler can see of the registers that a call preserves, RISC-V (calling convention LP64D). Used by registers.cpp;
 * registers_x86_64.S says what the functions do.
 *
 * s0, the frame pointer, is among them: any value will do while no frame is made.
 */

        .file   "registers_riscv64.S"
        .text

        /* One bit: is t0 still the seed (a2) and `number`? */
        .macro  compare number
        sub     t0, t0, a2
        addi    t0, t0, -(\number)
        snez    t0, t0
        slli    a0, a0, 1
        or      a0, a0, t0
        .endm

/* unsigned selftest_fill_call_compare(void (*call)(void*), void* argument, uint64_t seed, uint64_t damage) */
        .globl  selftest_fill_call_compare
        .hidden selftest_fill_call_compare
        .type   selftest_fill_call_compare, @function
        .p2align 4
selftest_fill_call_compare:
        .cfi_startproc
        addi    sp, sp, -224
        .cfi_adjust_cfa_offset 224
        sd      ra, 216(sp)
        .cfi_rel_offset ra, 216
        sd      a2, 208(sp)                     /* seed */
        sd      a3, 200(sp)                     /* damage */
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
        ld      t0, 200(sp)
        add     s4, s4, t0                      /* the damage */
        li      a0, 0
        /* The last register first. */
        .irp    number, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0
        fmv.x.d t0, fs\number
        compare 13 + \number
        fld     fs\number, 96 + 8 * \number(sp)
        .cfi_restore fs\number
        .endr
        .irp    number, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0
        mv      t0, s\number
        compare 1 + \number
        ld      s\number, 8 * \number(sp)
        .cfi_restore s\number
        .endr
        ld      ra, 216(sp)
        .cfi_restore ra
        addi    sp, sp, 224
        .cfi_adjust_cfa_offset -224
        ret
        .cfi_endproc
        .size   selftest_fill_call_compare, .-selftest_fill_call_compare

/* unsigned selftest_stack_misalignment(uint64_t damage) */
        .globl  selftest_stack_misalignment
        .hidden selftest_stack_misalignment
        .type   selftest_stack_misalignment, @function
        .p2align 4
selftest_stack_misalignment:
        .cfi_startproc
        sub     a0, sp, a0
        andi    a0, a0, 15
        ret
        .cfi_endproc
        .size   selftest_stack_misalignment, .-selftest_stack_misalignment

        .section .rodata
        .globl  selftest_preserved_registers
        .hidden selftest_preserved_registers
        .type   selftest_preserved_registers, @object
selftest_preserved_registers:
        .ascii  "s0 s1 s2 s3 s4 s5 s6 s7 s8 s9 s10 s11 "
        .asciz  "fs0 fs1 fs2 fs3 fs4 fs5 fs6 fs7 fs8 fs9 fs10 fs11"
        .size   selftest_preserved_registers, .-selftest_preserved_registers

        .section .note.GNU-stack, "", @progbits
