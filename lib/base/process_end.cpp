#include "base/process_end.hpp"

#include "base/first_call.hpp"
#include "base/thread_end.hpp"

#include <atomic>
#include <cstdlib>
#include <unistd.h>

/// \file
/// exit() begins with the thread_local objects of the thread that calls it: before all static ones, whenever these were made. The
/// end of a thread destroys them, too; but the first thread ends with the process, and no other one while it runs a loop. If
/// exit() is called elsewhere, a function that was registered with the first loop tells of it: before the static objects that
/// were there by then.
namespace coir::detail {
namespace {

constinit std::atomic<bool> is_ending{false};

void note_end() noexcept {
    is_ending.store(true, std::memory_order_relaxed);
}

struct observer {
    ~observer() {
        if (::gettid() == ::getpid() || thread_end_guard::is_here())
            note_end();
    }
};

// Not inlined into what switches: it uses an address that belongs to the thread (tests/package/thread_base.py).
[[gnu::noinline]] void observe_this_thread() noexcept {
    static thread_local const observer here;
}

// The first thread may leave the loops to others.
[[maybe_unused]] const bool observes_first_thread = (observe_this_thread(), true);

} // namespace

bool is_process_ending() noexcept {
    return is_ending.load(std::memory_order_relaxed);
}

void expect_process_end() noexcept {
    observe_this_thread();
    static constinit first_call registering;
    if (registering.is_this())
        static_cast<void>(std::atexit(note_end)); // without memory: then it is not noticed elsewhere
}

} // namespace coir::detail
