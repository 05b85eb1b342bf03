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

/// How an offload_pool is made.
struct offload_options {
    /// Calls that run at the same time; 0 stands for one more than there are processors, but at least 4: such calls
    /// often wait. Others wait for their turn, first come, first served.
    std::size_t most_threads = 0;
    /// Of each thread, for people: debuggers and `top` show the first 15 characters. Copied.
    std::string_view name = "coir-offload";
    /// A thread that has had nothing to do for so long ends.
    std::chrono::nanoseconds idle_time = std::chrono::seconds{10};
};

/// Threads for offload(). None is started before there is something to do, and all that are idle end after a while.
///
/// They block all signals that are sent to the process, so that these go to a thread that expects them.
/// Threads: may be used from all.
class COIR_EXPORT offload_pool {
public:
    /// Does not start a thread. Throws std::bad_alloc.
    explicit offload_pool(const offload_options& options = {});
    /// Waits, without letting other fibers run, for the calls that are still running because who waited for them was
    /// cancelled, and ends the threads.
    ~offload_pool();
    offload_pool(const offload_pool&) = delete;
    offload_pool& operator=(const offload_pool&) = delete;

    /// The one that offload(function) uses. It is never destroyed: what runs in it when the process exits is cut off.
    [[nodiscard]] static offload_pool& common();

    /// Threads that have been started and have not ended; for diagnostics and tests.
    [[nodiscard]] std::size_t thread_count() const;

    /// Not for users: waits until a thread has carried out `call`. On an exception the thread may have become its owner.
    void run(std::unique_ptr<detail::offloaded_call>& call, deadline until);

    /// Not for users: as run(), of a call that uses what belongs to the caller, who therefore does not leave while it runs.
    /// `notified`: it has been carried out. `timed_out`, `cancelled`: it has not begun, and never will.
    [[nodiscard]] detail::wake_reason lend(detail::offloaded_call& call, deadline until);

private:
    struct [[gnu::visibility("hidden")]] registry;
    struct [[gnu::visibility("hidden")]] state;
    std::unique_ptr<state> state_;
};

/// Calls `function()` on a thread of `pool` and returns what it returns, or throws what it throws; meanwhile the other
/// fibers run. For what blocks the thread and cannot be had in another way (a C library's database client, a name
/// lookup), and for long computations. Costs waking a thread, and being woken by it: too much for small things.
///
/// May suspend. Throws coir::cancelled, and std::system_error with std::errc::timed_out when `until` passes first. A thread
/// cannot be interrupted: a function that has begun runs to its end nevertheless, with nobody waiting for it; one that
/// has not is never called. So it must own what it uses (capture by value); to lend it local variables, put a
/// coir::shield around the call. Its result is destroyed by the thread then; its exception leaves a line on stderr.
/// Completion wins: a result that is there is delivered.
/// Throws std::system_error when no thread can be started.
///
/// The function runs outside of coir::run: no fiber is running there. offload() inside it, to the same pool, calls directly; in a
/// coir::run inside it, if all threads of the pool are busy.
/// From a thread without a loop the call blocks as threads do.
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
