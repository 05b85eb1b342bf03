#pragma once

#include <coir/detail/execution.hpp>

#include <cstddef>

namespace coir::detail {

/// The thread's C++ exceptions, as the Itanium C++ ABI lays them out (section 2.2.2, "Caught Exception Stack").
struct exception_globals {
    void* caught_exceptions;
    unsigned uncaught_exceptions;
};

/// What `__cxa_get_globals()` returned on this thread; until it was asked, an object that is never empty, so that the
/// test for "nothing to move" also finds this case. Asking each time would cost 3.4 ns, nearly as much as the switch.
extern constinit thread_local exception_globals* remembered_exceptions;

/// Address of the calling thread's exception state: the same for the life of the thread.
[[nodiscard]] exception_globals& thread_exceptions();

/// Nobody is in a catch block or unwinding on this thread: the usual case.
[[nodiscard, gnu::always_inline]] inline bool is_empty(const exception_globals& thread) {
    return (reinterpret_cast<std::size_t>(thread.caught_exceptions) | thread.uncaught_exceptions) == 0;
}

/// What is kept for `to` goes into the thread, in place of what is there.
[[gnu::always_inline]] inline void restore_exceptions(exception_globals& thread, execution& to) {
    thread = to.is_plain ? exception_globals{nullptr, 0} : *to.exceptions;
    to.is_plain = true;
}

/// The one place where exception state changes hands (hazards A1, A2): out of the thread into `kept`, which must stay until
/// `from` is continued, and what is kept for `to` into the thread. May be left out when the thread's is empty, and `to` is
/// plain.
inline void exchange_exceptions(exception_globals& thread, exception_globals& kept, execution& from, execution& to) {
    kept = thread;
    from.exceptions = &kept;
    from.is_plain = is_empty(thread);
    restore_exceptions(thread, to);
}

} // namespace coir::detail
