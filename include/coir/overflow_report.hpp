#pragma once

#include <coir/export.hpp>

#include <cstddef>

namespace coir {

/// While one of these lives on a thread, a stack overflow of a fiber or context that the thread runs is explained on
/// stderr, before the process dies of it:
///
///     coir: fiber 42 "parser" overflowed its 128 KiB stack 0x7f2a10001000-0x7f2a10021000: access to 0x7f2a10000ff8
///           spawned at server.cpp:57; ask for more with fiber_options::stack_size, or loop_options::stack_size for all;
///           …
///
/// The same holds for a stack that has no room for the frame of a signal handler that was installed without SA_ONSTACK: the
/// kernel cannot deliver that signal, and with the report the process dies instead of continuing without it.
///
/// coir::run() has one, unless loop_options::report_overflow is false; create one yourself for contexts without a loop, in each
/// thread that resumes them. Never suspends; must be destroyed by the thread that made it. They may be nested.
///
/// The first one of the process installs a handler for SIGSEGV, which stays. It reports only overflows, and passes every fault
/// on: to the handler that was there before, or, if there was none, to the kernel, which ends the process by SIGSEGV with the
/// faulting frame in the core. A handler that the program installs later replaces it, as usual. A fault on an exhausted stack
/// needs another stack for its handler: the thread gets one (sigaltstack) if it has none.
///
///     int main() {
///         const coir::overflow_report reports;
///         coir::context recursive{[](coir::context::self&) { recurse(); }};
///         recursive.resume();
///     }
class COIR_EXPORT overflow_report {
public:
    overflow_report() noexcept;
    ~overflow_report();
    overflow_report(const overflow_report&) = delete;
    overflow_report& operator=(const overflow_report&) = delete;

private:
    void* alternate_stack_; // null: the thread had one, or there is no memory for one
};

} // namespace coir
