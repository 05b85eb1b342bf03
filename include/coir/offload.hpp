#pragma once

#include <coir/deadline.hpp>
#include <coir/detail/offloaded_call.hpp>
#include <coir/export.hpp>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <exception>
#include <memory>
#include <string_view>
#include <type_traits>
#include <utility>

namespace coir {

/// How an offload_pool is created.
struct offload_options {
    /// The number of calls that run at the same time; 0 stands for one more than there are processors, but at least 4, since
    /// such calls often wait. Further calls queue, first come, first served.
    std::size_t most_threads = 0;
    /// The name of each thread, for diagnostics: debuggers and `top` show the first 15 characters. Copied.
    std::string_view name = "coir-offload";
    /// A thread that has been idle for this long ends.
    std::chrono::nanoseconds idle_time = std::chrono::seconds{10};
};

/// Threads for offload(). They are started on demand, and idle ones end after a while.
///
/// They block all signals, so that signals to the process go to a thread that expects them. Threads: may be used from all.
class COIR_EXPORT offload_pool {
public:
    /// Does not start a thread. Throws std::bad_alloc.
    explicit offload_pool(const offload_options& options = {});
    /// Ends the threads. Waits, without letting other fibers run, for calls that are still running although their callers have
    /// been cancelled.
    ~offload_pool();
    offload_pool(const offload_pool&) = delete;
    offload_pool& operator=(const offload_pool&) = delete;

    /// The one that offload(function) uses. It is never destroyed: calls that run in it when the process exits are cut off.
    [[nodiscard]] static offload_pool& common();

    /// Threads that have been started and have not ended; for diagnostics and tests.
    [[nodiscard]] std::size_t thread_count() const;

    /// Not for users: waits until a thread has carried out `call`. On an exception the thread may have become its owner.
    void run(std::unique_ptr<detail::offloaded_call>& call, deadline until);

    /// Not for users: as run(), for a call that uses the caller's variables; therefore the caller does not leave while it runs.
    /// `notified`: it has been carried out. `timed_out`, `cancelled`: it has not begun, and never will.
    [[nodiscard]] detail::wake_reason lend(detail::offloaded_call& call, deadline until);

private:
    struct [[gnu::visibility("hidden")]] registry;
    struct [[gnu::visibility("hidden")]] state;
    std::unique_ptr<state> state_;
};

/// Calls `function()` on a thread of `pool` and returns what it returns, or throws what it throws; meanwhile the other fibers
/// run. For code that inevitably blocks the thread (the database client of a C library, a name lookup), and for long
/// computations. Costs waking a thread, and being woken by it: too much for small tasks.
///
/// May suspend. Throws coir::cancelled, and std::system_error with std::errc::timed_out when `until` passes first. A thread
/// cannot be interrupted: a function that has begun then runs to its end with nobody waiting for it; one that has not begun is
/// never called. So it must own what it uses (capture by value); to lend it local variables, put a coir::shield around the
/// call. An abandoned result is destroyed by the thread; an abandoned exception leaves a line on stderr. Completion wins: a
/// result that is there is delivered. Throws std::system_error when no thread can be started.
///
/// The function runs outside of coir::run: no fiber is running there. offload() to the same pool inside it calls the function
/// directly; so it does in a coir::run inside it, if all threads of the pool are busy. From a thread without a loop the call
/// blocks as threads do.
///
///     const int sum = coir::offload([numbers] { return add_up(numbers); });
template <class Function>
    requires(std::invocable<std::decay_t<Function>>)
std::invoke_result_t<std::decay_t<Function>> offload(offload_pool& pool, Function&& function, deadline until = {}) {
    using work = std::decay_t<Function>;
    using task = detail::offloaded_task<std::invoke_result_t<work>, work>;
    std::unique_ptr<detail::offloaded_call> call = std::make_unique<task>(std::forward<Function>(function));
    pool.run(call, until);
    if (call->failure)
        std::rethrow_exception(std::exchange(call->failure, nullptr));
    return static_cast<task&>(*call).take();
}

/// As above, in the common pool.
template <class Function>
    requires(std::invocable<std::decay_t<Function>>)
std::invoke_result_t<std::decay_t<Function>> offload(Function&& function, deadline until = {}) {
    return offload(offload_pool::common(), std::forward<Function>(function), until);
}

} // namespace coir
