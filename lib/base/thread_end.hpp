#pragma once

#include "base/bounded_text.hpp"

#include <pthread.h>

/// \file
/// What pthread_exit(), and pthread_cancel(), in a thread that runs a loop would do: unwind the stack they are called on, be it
/// a fiber's, jump to the beginning of the thread, and end it. All other fibers would be lost without a word (hazard G9). There
/// is no way back from there, so the process says who has done it, and aborts.
///
/// The unwinding is noticed where it comes to the end of a fiber's stack (run_function()), of a context's (context_main()), or
/// at a thread_end_guard on the thread's own stack; if it meets none of them, by the guard's destructor of a pthread_key.
/// Unlike those of thread_local objects these are not called by exit(), which a fiber may call.
namespace coir::detail {

/// Forced unwinding has come to the end of a stack that the thread does not begin on: reports, with the description of the
/// thread's guard if there is one, and aborts.
[[noreturn]] void die_of_thread_end() noexcept;

/// As long as one lives, its thread must not end. To be made on the thread's own stack, the last of what must not be lost.
class thread_end_guard {
public:
    using description = void (*)(const void* what, bounded_text& text) noexcept;

    /// `describe(what, text)` appends where the thread is, and what would be lost.
    thread_end_guard(const void* what, description describe) noexcept;
    /// Reports and aborts when it is neither dismissed nor destroyed by an exception of C++.
    ~thread_end_guard();
    thread_end_guard(const thread_end_guard&) = delete;
    thread_end_guard& operator=(const thread_end_guard&) = delete;

    /// One lives on this thread.
    [[nodiscard]] static bool is_here() noexcept { return here_ != nullptr; }

    void dismiss() noexcept { is_dismissed_ = true; }

private:
    friend void die_of_thread_end() noexcept;

    static constinit thread_local const thread_end_guard* here_;

    const void* what_;
    description describe_;
    int exceptions_;      // in flight when it was made
    pthread_key_t key_{}; // a key of its own: one for all would have to be made by somebody, and would remain
    bool has_key_;
    bool is_dismissed_ = false;
};

} // namespace coir::detail
