/*
 * The switch between two executions on x86-64, System V ABI.
 *
 * This is the canonical text: the files of the other architectures redraw the pictures and comment what differs.
 *
 * What the ABI asks (System V ABI, AMD64 supplement, section 3.2.1 "Registers", figure 3.4)
 * ----------------------------------------------------------------------------------------
 * A switch looks to the compiler like a call of an ordinary function, so only what such a call preserves has to
 * survive it; everything else the caller has already saved or does not need.
 *
 *      preserved:      rbx rbp r12 r13 r14 r15, rsp, the x87 control word, the *control* bits of MXCSR
 *      not preserved:  rax rcx rdx rsi rdi r8 r9 r10 r11, all vector and mask registers, x87 stack,
 *                      the *status* bits of MXCSR, flags (DF is clear on entry and on return)
 *
 * The thread pointer (fs) belongs to the thread: fibers never change threads, and a context, which any thread may
 * resume, gets that of its resumer. The state of C++ exceptions is not a register; lib/context saves it before it comes here.
 *
 * A suspended stack
 * -----------------
 * Everything is in one frame of 64 bytes, below the frame of the function that called coir_switch. The address of
 * that frame is the whole handle of a suspended execution. The offsets are repeated, and tied by static_assert, in
 * lib/context/frame_x86_64.hpp.
 *
 *      higher addresses
 *      +------------------------------+
 *      | frame of the caller          |
 *      +------------------------------+  <- stack pointer when the caller continues (64 bytes above the handle)
 *  +56 | return address               |  pushed by the caller's `call coir_switch`
 *  +48 | rbp                          |
 *  +40 | rbx                          |
 *  +32 | r12                          |
 *  +24 | r13                          |
 *  +16 | r14                          |
 *   +8 | r15                          |
 *   +6 | (unused, 2 bytes)            |
 *   +4 | x87 control word (2 bytes)   |
 *   +0 | MXCSR (4 bytes)              |
 *      +------------------------------+  <- the handle
 *      lower addresses: free
 *
 * A fresh stack
 * -------------
 * The first switch to a stack is not a special case: lib/context/frame_x86_64.hpp writes the frame above by hand, with
 * coir_entry as the return address, and two of the preserved registers carry the first call.
 *
 *      +------------------------------+  <- top of the stack, aligned to 16
 *      | 16 zero bytes                |  a frame-pointer walk or a bad unwinder reads "no caller" here
 *      +------------------------------+  <- stack pointer at coir_entry: 16-aligned, as before any call
 *  +56 | coir_entry                   |
 *  +48 | rbp = 0                      |  end of the frame-pointer chain
 *  +40 | rbx = 0                      |
 *  +32 | r12 = argument               |
 *  +24 | r13 = function               |
 *  +16 | r14 = 0                      |
 *   +8 | r15 = 0                      |
 *   +0 | MXCSR, x87 control word      |  those of the creator
 *      +------------------------------+  <- the handle
 *
 * A running stack
 * ---------------
 *      | 16 zero bytes                |
 *      | return address: coir_entry+n |  of `call *%r13`; unwinding stops here, coir_entry says "no caller"
 *      | frame of function(argument)  |
 *      | ...                          |  <- rsp
 *
 * Why it leaves with a jump
 * -------------------------
 * `ret` predicts its target from the processor's stack of call addresses. The top of that stack is the caller of
 * *this* call of coir_switch, which is never where a switch goes, so every `ret` here would be mispredicted (13.5 ns
 * instead of 3.7, see docs/asm.md). An indirect jump is predicted from the history of branches, which serves.
 *
 * Unwinding
 * ---------
 * The stack pointer stays on the old stack, with the complete old frame described by CFI, until everything has been
 * loaded from the new one. A single instruction, the `lea` into rsp, then changes the stack, and from it on the
 * caller is the new one, its address in r8. So a backtrace taken between any two instructions, by a debugger, a
 * profiler's signal or an exception, sees exactly one consistent stack.
 *
 * Marks
 * -----
 * coir_entry begins with endbr64: it is reached by an indirect jump. A switch lands behind a `call`, where compilers
 * put no endbr64; the jump has the `notrack` prefix for that reason. The object carries the IBT mark and *no* SHSTK
 * mark: shadow stacks would have to be switched too, and claiming them without doing so kills the process (hazard B4).
 */

        .file   "x86_64_sysv.S"
        .section .text.hot, "ax", @progbits     /* beside the scheduler: docs/scheduler.md */

/*
 * void coir_switch(void** suspended, void* resumed)
 *
 *      rdi     where to write the handle of the execution that calls (it is complete before this function leaves)
 *      rsi     the handle to continue; it is used up
 *
 * Returns when somebody continues the caller's handle: for the caller an ordinary call that took long.
 */
        .globl  coir_switch
        .hidden coir_switch
        .type   coir_switch, @function
        .p2align 5                              /* the hot 120 bytes start at a fetch block */
coir_switch:
        .cfi_startproc                          /* no endbr64: hidden, and only ever called directly */
        leaq    -56(%rsp), %rsp                 /* room for the frame; memory below rsp is never used (hazard B2) */
        .cfi_adjust_cfa_offset 56

        /* Save. Both control words are stored, which is cheap; loading is not, see below. */
        stmxcsr 0(%rsp)
        fnstcw  4(%rsp)
        movq    %r15, 8(%rsp)
        .cfi_rel_offset r15, 8
        movq    %r14, 16(%rsp)
        .cfi_rel_offset r14, 16
        movq    %r13, 24(%rsp)
        .cfi_rel_offset r13, 24
        movq    %r12, 32(%rsp)
        .cfi_rel_offset r12, 32
        movq    %rbx, 40(%rsp)
        .cfi_rel_offset rbx, 40
        movq    %rbp, 48(%rsp)
        .cfi_rel_offset rbp, 48
        movq    %rsp, (%rdi)                    /* the caller is now suspended in memory */

        /* Load. The CFI still describes the old frame, in which all these registers are saved. */
        movq    56(%rsi), %r8
        movq    8(%rsi), %r15
        movq    16(%rsi), %r14
        movq    24(%rsi), %r13
        movq    32(%rsi), %r12
        movq    40(%rsi), %rbx
        movq    48(%rsi), %rbp

        /*
         * The x87 control word: loading it is slow, and it hardly ever differs.
         *
         * MXCSR: what is best depends on the processor, and coir_mxcsr_is_free_to_load says what that is. On most (Intel's),
         * a load that changes it drains the pipeline, 50 ns, and the sticky status bits differ between any two executions
         * of which one has rounded a number. But the ABI preserves the control bits only: compare these (mask 0xffc0),
         * and load when there is a difference. On others (Zen 5) a load is free, but reading back what stmxcsr has just
         * stored costs 2 ns.
         */
        movzwl  4(%rsp), %ecx
        xorw    4(%rsi), %cx
        cmpb    $0, coir_mxcsr_is_free_to_load(%rip)
        jne     .Lload_mxcsr
        movl    0(%rsp), %eax
        xorl    0(%rsi), %eax
        andl    $0xffc0, %eax
        orl     %eax, %ecx
        jnz     .Lload_control_words

.Lcontinue:
        leaq    64(%rsi), %rsp                  /* the one instruction that changes stacks */
        .cfi_remember_state
        .cfi_def_cfa rsp, 0
        .cfi_register rip, r8
        .cfi_same_value r15
        .cfi_same_value r14
        .cfi_same_value r13
        .cfi_same_value r12
        .cfi_same_value rbx
        .cfi_same_value rbp
        notrack jmp *%r8
        .cfi_restore_state

.Lload_mxcsr:
        ldmxcsr 0(%rsi)
        testl   %ecx, %ecx
        jz      .Lcontinue
.Lload_control_words:
        ldmxcsr 0(%rsi)
        fnclex                                  /* x87 traps late: a flag raised where it was masked would trap where not */
        fldcw   4(%rsi)
        jmp     .Lcontinue
        .cfi_endproc
        .size   coir_switch, .-coir_switch

/*
 * Where a fresh stack begins: calls r13(r12), which never returns.
 *
 * The unwinder looks up "the instruction before the return address". For the frame that coir_switch fabricates on
 * the first switch the return address is coir_entry itself, so the procedure begins one instruction earlier: the
 * byte in front still belongs to it and still says that there is no caller.
 */
        .hidden coir_entry
        .globl  coir_entry
        .type   coir_entry, @function
        .p2align 4
        .cfi_startproc
        .cfi_undefined rip                      /* end of the stack, for every unwinder (hazard A7) */
        nop
coir_entry:
        endbr64
        movq    %r12, %rdi
        call    *%r13                           /* a call and not a jump: leaves a return address inside coir_entry */
        ud2                                     /* the function returned: there is nowhere to go */
        .cfi_endproc
        .size   coir_entry, .-coir_entry

/* Written once, by lib/context/tune_switch_x86_64.cpp, before anybody switches; either value is correct at any time. */
        .bss
        .hidden coir_mxcsr_is_free_to_load
        .globl  coir_mxcsr_is_free_to_load
        .type   coir_mxcsr_is_free_to_load, @object
coir_mxcsr_is_free_to_load:
        .zero   1
        .size   coir_mxcsr_is_free_to_load, 1

/* Property note of the object: IBT (bit 0) yes, SHSTK (bit 1) no. Layout: System V ABI, "Program Property". */
        .section .note.gnu.property, "a", @note
        .p2align 3
        .long   4                               /* size of the name */
        .long   16                              /* size of the description */
        .long   5                               /* NT_GNU_PROPERTY_TYPE_0 */
        .asciz  "GNU"
        .long   0xc0000002                      /* GNU_PROPERTY_X86_FEATURE_1_AND */
        .long   4
        .long   1                               /* IBT */
        .long   0                               /* padding to 8 */

/* The stack need not be executable: without this section the linker would make it so. */
        .section .note.GNU-stack, "", @progbits
