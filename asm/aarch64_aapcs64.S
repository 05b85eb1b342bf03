/*
 * The switch between two executions on AArch64, procedure call standard AAPCS64.
 *
 * asm/x86_64_sysv.S is the canonical text: why a switch is an ordinary function, why the handle is the address of one
 * frame, why the stack changes in one instruction. Here are the pictures of this architecture, and what differs.
 *
 * What the ABI asks (AAPCS64, "The Base Procedure Call Standard", "Machine Registers")
 * ------------------------------------------------------------------------------------
 *
 *      preserved:      x19 ... x28, x29 (frame pointer), sp, the low 64 bits of v8 ... v15: d8 ... d15
 *      not preserved:  x0 ... x17, x30 (link register), v0 ... v7, v16 ... v31, the upper halves of v8 ... v15, the
 *                      flags, all of SVE beyond d8 ... d15, FPSR (the cumulative exception flags)
 *      the process's:  FPCR: rounding, flush-to-zero, trapped exceptions. "A global register", which only functions
 *                      whose purpose it is may change: so whoever calls coir_switch finds it unchanged. It is
 *                      compared, and loaded on a difference; unlike MXCSR it has no status bits in between.
 *      the thread's:   TPIDR_EL0, and x18, which Linux gives to nobody (a shadow call stack would use it)
 *
 * A suspended stack
 * -----------------
 * One frame of 176 bytes. The offsets are repeated, and tied by static_assert, in lib/context/frame_aarch64.hpp.
 *
 *      higher addresses
 *      +------------------------------+
 *      | frame of the caller          |
 *      +------------------------------+  <- stack pointer when the caller continues (176 bytes above the handle)
 * +168 | (unused, 8 bytes)            |
 * +160 | FPCR                         |
 *  +96 | d8 ... d15                   |
 *  +16 | x19 ... x28                  |
 *   +8 | x30, signed                  |  the return address: `bl` leaves it in a register, not on the stack
 *   +0 | x29                          |
 *      +------------------------------+  <- the handle
 *      lower addresses: free
 *
 * x29 and x30 are the lowest two words, as AAPCS64 lays out a frame record: a handle is the head of a chain that a
 * frame-pointer walk can follow, so that a suspended stack can be walked without unwind tables.
 *
 * A fresh stack
 * -------------
 *      +------------------------------+  <- top of the stack, aligned to 16
 *      | 16 zero bytes                |  a frame record without a caller, for whoever looks here
 *      +------------------------------+  <- stack pointer at coir_entry
 * +160 | FPCR                         |  that of the creator
 *  +96 | d8 ... d15 = 0               |
 *  +32 | x21 ... x28 = 0              |
 *  +24 | x20 = function               |
 *  +16 | x19 = argument               |
 *   +8 | coir_entry, signed           |  by lib/context/frame_aarch64.hpp
 *   +0 | x29 = 0                      |  end of the chain of frame records
 *      +------------------------------+  <- the handle
 *
 * A running stack
 * ---------------
 *      | 16 zero bytes                |
 *      +------------------------------+  <- stack pointer in coir_entry, which has no frame
 *      | frame of function(argument)  |  its frame record: 0, coir_entry+n; unwinding stops there
 *      | ...                          |  <- sp
 *
 * Why it leaves with `ret`
 * ------------------------
 * On x86-64 an indirect jump is better: `ret` predicts the caller of this very call, which is never right. Here a jump
 * is not allowed. Where branch targets are checked (BTI) a `br` must land on a landing pad, and behind a `bl`, where a
 * switch lands, compilers put none; x86's `notrack` has no counterpart. Returns are not checked.
 *
 * Branch target identification (BTI)
 * ----------------------------------
 * Both functions begin with a landing pad, and the object says so in its property note. `paciasp` is one for calls, and
 * for the indirect branch of a linker's veneer. coir_entry is reached by `ret` and needs none; it has one because its
 * address is taken, and a rule without exceptions is easier to check.
 *
 * Pointer authentication (PAC)
 * ----------------------------
 * A suspended stack is memory that stays as it is for long, and a return address in it is what an overflow looks for.
 * So x30 is signed before it is stored, as compilers do with -mbranch-protection, with key A and the stack pointer of
 * the caller as the modifier, and authenticated when it comes back: by then the stack pointer is again the same. An
 * address that was put there by somebody else, or moved from another stack, does not survive this. The return address
 * of a fresh frame is signed in C++, for the stack pointer at coir_entry. The keys are the process's: a fiber may be
 * resumed by any thread, and after fork. (prctl(PR_PAC_RESET_KEYS) renders every frame of the calling thread invalid,
 * compilers' as well as these.)
 *
 * The three instructions come out of the hint space: they do nothing on a processor without pointer authentication, and
 * no build option chooses them, so code with and without -mbranch-protection may be mixed.
 *
 * Unwinding
 * ---------
 * As on x86-64, the old frame is described up to the one instruction that changes the stack pointer. In addition an
 * unwinder must know between which two instructions x30 is signed (.cfi_negate_ra_state) and with what: the modifier is
 * the canonical frame address, which is the old stack's before `add sp` and the new one's from there on.
 */

        .file   "aarch64_aapcs64.S"
        .section .text.hot, "ax", @progbits     /* beside the scheduler: docs/scheduler.md */

/*
 * void coir_switch(void** suspended, void* resumed)
 *
 *      x0      where to write the handle of the execution that calls (it is complete before this function leaves)
 *      x1      the handle to continue; it is used up
 */
        .globl  coir_switch
        .hidden coir_switch
        .type   coir_switch, %function
        .p2align 5
coir_switch:
        .cfi_startproc
        paciasp                                 /* the caller is sp here, and again when x30 is authenticated */
        .cfi_negate_ra_state                    /* from here on x30 is signed, in the register and in the frame */
        sub     sp, sp, #176                    /* nothing below sp is ever used: there is no red zone */
        .cfi_adjust_cfa_offset 176

        /* Save. FPCR goes through x9, which keeps it for the comparison. */
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
        stp     d8, d9, [sp, #96]               /* the callers of a call preserve the upper halves themselves */
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
        mrs     x9, fpcr
        str     x9, [sp, #160]
        mov     x10, sp
        str     x10, [x0]                       /* the caller is now suspended in memory */

        /* Load. The CFI still describes the old frame, in which all these registers are saved. */
        ldp     x29, x30, [x1, #0]
        ldp     x19, x20, [x1, #16]
        ldp     x21, x22, [x1, #32]
        ldp     x23, x24, [x1, #48]
        ldp     x25, x26, [x1, #64]
        ldp     x27, x28, [x1, #80]
        ldp     d8, d9, [x1, #96]
        ldp     d10, d11, [x1, #112]
        ldp     d12, d13, [x1, #128]
        ldp     d14, d15, [x1, #144]
        ldr     x10, [x1, #160]
        cmp     x9, x10                         /* a write to FPCR waits for all arithmetic before it: only if needed */
        b.ne    .Lload_control_word

.Lchange_stacks:
        .cfi_remember_state                     /* the old frame, for the two instructions at the end */
        add     sp, x1, #176                    /* the one instruction that changes stacks */
        .cfi_def_cfa sp, 0
        .cfi_same_value x29
        .cfi_same_value x30                     /* the return address is in x30, signed for this stack pointer */
        .cfi_same_value x19
        .cfi_same_value x20
        .cfi_same_value x21
        .cfi_same_value x22
        .cfi_same_value x23
        .cfi_same_value x24
        .cfi_same_value x25
        .cfi_same_value x26
        .cfi_same_value x27
        .cfi_same_value x28
        .cfi_same_value d8
        .cfi_same_value d9
        .cfi_same_value d10
        .cfi_same_value d11
        .cfi_same_value d12
        .cfi_same_value d13
        .cfi_same_value d14
        .cfi_same_value d15
        autiasp
        .cfi_negate_ra_state                    /* and from here on it is an address as any other */
        ret

.Lload_control_word:
        .cfi_restore_state                      /* still on the old stack */
        msr     fpcr, x10
        b       .Lchange_stacks
        .cfi_endproc
        .size   coir_switch, .-coir_switch

/*
 * Where a fresh stack begins: calls x20(x19), which never returns.
 *
 * The procedure begins one instruction early, since the unwinder looks up "the instruction before the return address",
 * and on the first switch that is coir_entry itself.
 */
        .globl  coir_entry
        .hidden coir_entry
        .type   coir_entry, %function
        .p2align 4
        .cfi_startproc
        .cfi_undefined x30                      /* end of the stack, for every unwinder (hazard A7) */
        nop
coir_entry:
        bti     jc
        mov     x0, x19
        blr     x20                             /* a call and not a branch: leaves a return address inside coir_entry */
        udf     #0                              /* the function returned: there is nowhere to go */
        .cfi_endproc
        .size   coir_entry, .-coir_entry

/* Property note of the object: BTI (bit 0) and PAC (bit 1), as described above; no GCS (bit 2), the shadow stacks. */
        .section .note.gnu.property, "a", %note
        .p2align 3
        .long   4                               /* size of the name */
        .long   16                              /* size of the description */
        .long   5                               /* NT_GNU_PROPERTY_TYPE_0 */
        .asciz  "GNU"
        .long   0xc0000000                      /* GNU_PROPERTY_AARCH64_FEATURE_1_AND */
        .long   4
        .long   3                               /* BTI, PAC */
        .long   0                               /* padding to 8 */

/* The stack need not be executable: without this section the linker would make it so. */
        .section .note.GNU-stack, "", %progbits
