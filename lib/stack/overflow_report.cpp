#include <coir/overflow_report.hpp>

#include "base/bounded_text.hpp"
#include "base/diagnostic.hpp"
#include "base/first_call.hpp"
#include "base/interrupted.hpp"
#include "stack/alternate_stack.hpp"
#include "stack/overflow.hpp"

#include <cerrno>
#include <csignal>
#include <ucontext.h>

namespace coir {
namespace {

constinit thread_local int reports_here = 0; // how many objects live on this thread

struct sigaction previous; // what was done about SIGSEGV before; not written after the handler has been installed

// A handler of the program's that does not know better returns, and the access is made again.
constinit thread_local detail::overflow explained_last;

void explain(const siginfo_t& fault, const ucontext_t& interrupted) noexcept {
    const void* const stack_pointer = detail::stack_pointer_of(interrupted);
    detail::bounded_text text;
    const auto found = detail::has_lost_signal(fault, interrupted)
                           ? detail::describe_signal_overflow(stack_pointer, text)
                           : detail::describe_overflow(fault.si_addr, stack_pointer, text);
    if (!found || *found == explained_last)
        return;
    explained_last = *found;
    detail::report(text.view());
}

void leave_to_kernel(int signal) noexcept {
    struct sigaction standard {};
    standard.sa_handler = SIG_DFL;
    ::sigaction(signal, &standard, nullptr);
}

// The instruction that faulted is executed again, and this time there is no handler. So its frame is the innermost one in the
// core. Where no instruction is to blame, or perhaps none, the signal comes when the handler returns.
void die_of(int signal, const siginfo_t& fault) noexcept {
    leave_to_kernel(signal);
    if (fault.si_code <= 0 || fault.si_code == SI_KERNEL)
        ::raise(signal);
}

void pass_on(int signal, siginfo_t* info, void* interrupted) noexcept {
    const bool was_sent = info->si_code <= 0; // by kill() and the like
    if ((previous.sa_flags & SA_SIGINFO) == 0) {
        if (previous.sa_handler == SIG_IGN && was_sent)
            return;
        if (previous.sa_handler == SIG_DFL ||
            previous.sa_handler == SIG_IGN) // which the kernel does not let a fault do
            return die_of(signal, *info);
    }
    if ((previous.sa_flags & SA_RESETHAND) != 0)
        leave_to_kernel(signal); // if it comes back
    detail::call_handler(previous, signal, info, interrupted);
}

void on_fault(int signal, siginfo_t* info, void* interrupted) noexcept {
    const int saved_errno = errno;
    if (reports_here > 0 && info->si_code > 0)
        explain(*info, *static_cast<const ucontext_t*>(interrupted));
    errno = saved_errno;
    pass_on(signal, info, interrupted);
}

void install_handler() noexcept {
    if (::sigaction(SIGSEGV, nullptr, &previous) != 0)
        return;
    struct sigaction ours {};
    ours.sa_sigaction = on_fault;
    ours.sa_mask = previous.sa_mask; // the previous one runs inside of ours, and as it would alone
    ours.sa_flags = SA_SIGINFO | SA_ONSTACK | (previous.sa_flags & (SA_NODEFER | SA_RESTART));
    ::sigaction(SIGSEGV, &ours, nullptr);
}

} // namespace

overflow_report::overflow_report() noexcept : alternate_stack_(detail::add_alternate_stack()) {
    static constinit detail::first_call installing; // whoever has installed a handler since may call ours from theirs
    if (installing.is_this())
        install_handler();
    ++reports_here;
}

overflow_report::~overflow_report() {
    --reports_here;
    detail::remove_alternate_stack(alternate_stack_);
}

} // namespace coir
