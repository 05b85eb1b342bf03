#include "base/interrupted.hpp"

namespace coir::detail {

#if defined(__x86_64__)

const void* stack_pointer_of(const ucontext_t& interrupted) noexcept {
    return reinterpret_cast<const void*>(interrupted.uc_mcontext.gregs[REG_RSP]);
}

const void* program_counter_of(const ucontext_t& interrupted) noexcept {
    return reinterpret_cast<const void*>(interrupted.uc_mcontext.gregs[REG_RIP]);
}

#elif defined(__aarch64__)

const void* stack_pointer_of(const ucontext_t& interrupted) noexcept {
    return reinterpret_cast<const void*>(interrupted.uc_mcontext.sp);
}

const void* program_counter_of(const ucontext_t& interrupted) noexcept {
    return reinterpret_cast<const void*>(interrupted.uc_mcontext.pc);
}

#elif defined(__riscv)

const void* stack_pointer_of(const ucontext_t& interrupted) noexcept {
    return reinterpret_cast<const void*>(interrupted.uc_mcontext.__gregs[REG_SP]);
}

const void* program_counter_of(const ucontext_t& interrupted) noexcept {
    return reinterpret_cast<const void*>(interrupted.uc_mcontext.__gregs[REG_PC]);
}

#else
#error "which registers of ucontext_t are the stack pointer and the program counter?"
#endif

#if defined(__x86_64__)

// The kernel says the same of an address that is none (a general protection fault), but for the number of the trap. That is the
// last one of the thread: so after such a fault, if the program has recovered from it, a lost signal is taken for another.
bool has_lost_signal(const siginfo_t& info, const ucontext_t& interrupted) noexcept {
    constexpr greg_t general_protection = 13;
    return info.si_code == SI_KERNEL && interrupted.uc_mcontext.gregs[REG_TRAPNO] != general_protection;
}

#else

bool has_lost_signal(const siginfo_t& info, const ucontext_t& /*interrupted*/) noexcept {
    return info.si_code == SI_KERNEL; // of a fault of an instruction it says more
}

#endif

void call_handler(const struct sigaction& action, int signal, siginfo_t* info, void* interrupted) noexcept {
    if ((action.sa_flags & SA_SIGINFO) != 0)
        action.sa_sigaction(signal, info, interrupted);
    else
        action.sa_handler(signal);
}

} // namespace coir::detail
