/*
 * The switch between two executions on RISC-V, 64 bits, calling convention LP64D (double in floating-point registers).
 *
 * asm/x86_64_sysv.S is the canonical text: why a switch is an ordinary function, why the handle is the address of one
 * frame, why the stack changes in one instruction. Here are the pictures of this architecture, and what differs.
 *
 * What the ABI asks (RISC-V ELF psABI, "Register Convention")
 * -----------------------------------------------------------
 *
 *      preserved:      sp, s0 (frame pointer) ... s11, fs0 ... fs11
 *      not preserved:  ra, t0 ... t6, a0 ... a7, ft0 ... ft11, fa0 ... fa7, all vector registers, vl, vtype, vxrm, vxsat
 *      neither:        gp and tp: they belong to the process and to the thread, and nobody may change them
 *      fcsr:           has "thread storage duration in accordance with C11 section 7.6": see below
 *
 * Which part of fcsr is preserved
 * -------------------------------
 * fcsr is two fields: frm, the rounding mode (bits 7 ... 5), and fflags, the exception flags that have been raised since
 * somebody cleared them (bits 4 ... 0). The psABI does not name a part that calls preserve; it refers to the C standard,
 * which says (7.6, paragraph on programming conventions) that a call does not alter its caller's control modes, nor
 * clear its status flags, unless that is what the function is for; it may raise flags. So
 *
 *      frm             is preserved: each execution rounds as it was told to
 *      fflags          stay with the thread: what one execution raises, all of the thread see. A switch only ever adds
 *                      flags, as a call may. AArch64, which has them in a register of their own, does the same.
 *
 * frm can be read and written alone, so neither needs a mask. Writing it waits for the arithmetic in flight on many
 * cores: it is compared first, and written on a difference.
 *
 * A suspended stack
 * -----------------
 * One frame of 208 bytes. The offsets are repeated, and tied by static_assert, in lib/context/frame_riscv64.hpp.
 *
 *      higher addresses
 *      +------------------------------+
 *      | frame of the caller          |
 *      +------------------------------+  <- stack pointer when the caller continues (208 bytes above the handle)
 * +200 | ra                           |  the return address: `call` leaves it in a register, not on the stack
 * +192 | s0                           |
 * +104 | s1 (+184) ... s11 (+104)     |
 *   +8 | fs0 (+96) ... fs11 (+8)      |
 *   +0 | frm                          |
 *      +------------------------------+  <- the handle
 *      lower addresses: free
 *
 * ra and s0 are the highest two words, where compilers put them: the frame pointer of this convention points above them.
 *
 * A fresh stack
 * -------------
 *      +------------------------------+  <- top of the stack, aligned to 16
 *      | 16 zero bytes                |  "no caller", for whoever looks here
 *      +------------------------------+  <- stack pointer at coir_entry
 * +200 | coir_entry                   |
 * +192 | s0 = 0                       |  end of the frame-pointer chain
 * +184 | s1 = argument                |
 * +176 | s2 = function                |
 * +104 | s3 ... s11 = 0               |
 *   +8 | fs0 ... fs11 = 0             |
 *   +0 | frm                          |  that of the creator
 *      +------------------------------+  <- the handle
 *
 * A running stack
 * ---------------
 *      | 16 zero bytes                |
 *      +------------------------------+  <- stack pointer in coir_entry, which has no frame
 *      | frame of function(argument)  |  begins with its ra, coir_entry+n, and s0 = 0; unwinding stops there
 *      | ...                          |  <- sp
 *
 * Why it leaves with `jr t2`
 * --------------------------
 * A jump through ra or t0 is a return for the processor's stack of call addresses, whose top is the caller of this call
 * and never where a switch goes; through any other register it is an ordinary indirect jump (unprivileged
 * specification, "Unconditional Jumps", return-address stack hints). Where landing pads are checked (Zicfilp) such a
 * jump must find one, which compilers do not put behind calls, except through t2: that one is the "software guarded
 * branch", what `notrack jmp` is on x86.
 *
 * Marks
 * -----
 * None but the one for the stack: no landing pads are claimed, which the assembler of Debian 12 does not know, and no
 * shadow stack (Zicfiss), which would have to be switched too.
 */

        .file   "riscv64_lp64d.S"
        .section .text.hot, "ax", @progbits     /* beside the scheduler: docs/scheduler.md */

/* Stores a register into the frame that sp points to, and tells unwinders where it is from the next instruction on. */
        .macro  save store, register, offset
        \store \register, \offset(sp)
        .cfi_rel_offset \register, \offset
        .endm

/*
 * void coir_switch(void** suspended, void* resumed)
 *
 *      a0      where to write the handle of the execution that calls (it is complete before this function leaves)
 *      a1      the handle to continue; it is used up
 */
        .globl  coir_switch
        .hidden coir_switch
        .type   coir_switch, @function
        .p2align 5
coir_switch:
        .cfi_startproc
        addi    sp, sp, -208                    /* nothing below sp is ever used: there is no red zone */
        .cfi_adjust_cfa_offset 208

        /* Save. frm goes through t0, which keeps it for the comparison. */
        save    sd, ra, 200
        save    sd, s0, 192
        save    sd, s1, 184
        save    sd, s2, 176
        save    sd, s3, 168
        save    sd, s4, 160
        save    sd, s5, 152
        save    sd, s6, 144
        save    sd, s7, 136
        save    sd, s8, 128
        save    sd, s9, 120
        save    sd, s10, 112
        save    sd, s11, 104
        save    fsd, fs0, 96
        save    fsd, fs1, 88
        save    fsd, fs2, 80
        save    fsd, fs3, 72
        save    fsd, fs4, 64
        save    fsd, fs5, 56
        save    fsd, fs6, 48
        save    fsd, fs7, 40
        save    fsd, fs8, 32
        save    fsd, fs9, 24
        save    fsd, fs10, 16
        save    fsd, fs11, 8
        frrm    t0
        sd      t0, 0(sp)
        sd      sp, 0(a0)                       /* the caller is now suspended in memory */

        /* Load. The CFI still describes the old frame, in which all these registers are saved. */
        ld      t2, 200(a1)
        ld      s0, 192(a1)
        ld      s1, 184(a1)
        ld      s2, 176(a1)
        ld      s3, 168(a1)
        ld      s4, 160(a1)
        ld      s5, 152(a1)
        ld      s6, 144(a1)
        ld      s7, 136(a1)
        ld      s8, 128(a1)
        ld      s9, 120(a1)
        ld      s10, 112(a1)
        ld      s11, 104(a1)
        fld     fs0, 96(a1)
        fld     fs1, 88(a1)
        fld     fs2, 80(a1)
        fld     fs3, 72(a1)
        fld     fs4, 64(a1)
        fld     fs5, 56(a1)
        fld     fs6, 48(a1)
        fld     fs7, 40(a1)
        fld     fs8, 32(a1)
        fld     fs9, 24(a1)
        fld     fs10, 16(a1)
        fld     fs11, 8(a1)
        ld      t1, 0(a1)
        bne     t0, t1, .Lload_rounding_mode

.Lchange_stacks:
        .cfi_remember_state                     /* the old frame, for the two instructions at the end */
        addi    sp, a1, 208                     /* the one instruction that changes stacks */
        .cfi_def_cfa sp, 0
        .cfi_register ra, t2                    /* the return address; ra itself is not preserved by calls */
        .irp    register, s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11
        .cfi_same_value \register
        .endr
        .irp    register, fs0, fs1, fs2, fs3, fs4, fs5, fs6, fs7, fs8, fs9, fs10, fs11
        .cfi_same_value \register
        .endr
        jr      t2

.Lload_rounding_mode:
        .cfi_restore_state                      /* still on the old stack */
        fsrm    t1
        j       .Lchange_stacks
        .cfi_endproc
        .size   coir_switch, .-coir_switch

/*
 * Where a fresh stack begins: calls s2(s1), which never returns.
 *
 * The procedure begins one instruction early, since the unwinder looks up "the instruction before the return address",
 * and on the first switch that is coir_entry itself.
 */
        .globl  coir_entry
        .hidden coir_entry
        .type   coir_entry, @function
        .p2align 4
        .cfi_startproc
        .cfi_undefined ra                       /* end of the stack, for every unwinder (hazard A7) */
        nop
coir_entry:
        mv      a0, s1
        jalr    s2                              /* a call and not a jump: leaves a return address inside coir_entry */
        unimp                                   /* the function returned: there is nowhere to go */
        .cfi_endproc
        .size   coir_entry, .-coir_entry

/* The stack need not be executable: without this section the linker would make it so. */
        .section .note.GNU-stack, "", @progbits
