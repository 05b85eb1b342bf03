#pragma once

#include <coir/deadline.hpp>
#include <coir/detail/waiter_queue.hpp>
#include <coir/export.hpp>

#include <atomic>
#include <cstdint>
#include <functional>
#include <utility>

namespace coir {

namespace detail {
class once_call;
} // namespace detail

/// Remembers whether call_once() has succeeded: std::once_flag.
class COIR_EXPORT once_flag {
public:
    constexpr once_flag() noexcept = default;
    once_flag(const once_flag&) = delete;
    once_flag& operator=(const once_flag&) = delete;

private:
    friend detail::once_call;

    // True: the caller must call the function, and end() then. False: it has been called, or else `in_time` is false, too.
    bool begin(deadline until, bool& in_time);
    void end(bool succeeded) noexcept;

    std::atomic<bool> is_done_{false}; // written under the queue's lock
    std::uintptr_t caller_ = 0;        // who is calling: see lib/sync/holder.hpp; guarded by the queue's lock
    detail::waiter_queue queue_;
};

namespace detail {

/// One call of call_once().
class once_call {
public:
    once_call(once_flag& flag, deadline until)
        : flag_(flag), is_due_(!flag.is_done_.load(std::memory_order_acquire) && flag.begin(until, in_time_)) {}
    once_call(const once_call&) = delete;
    once_call& operator=(const once_call&) = delete;
    ~once_call() {
        if (is_due_)
            flag_.end(succeeded_);
    }

    template <class Function, class... Arguments> bool operator()(Function&& function, Arguments&&... arguments) {
        if (is_due_) {
            std::invoke(std::forward<Function>(function), std::forward<Arguments>(arguments)...);
            succeeded_ = true;
        }
        return in_time_;
    }

private:
    once_flag& flag_;
    bool in_time_ = true; // before is_due_, which sets it
    bool is_due_;
    bool succeeded_ = false;
};

} // namespace detail

/// Calls `function(arguments...)` if no call with this flag has succeeded yet: std::call_once for fibers, of one loop or
/// several, and threads without a loop. While one caller executes it, the others wait. If the function throws, that call_once()
/// rethrows, and the longest waiter executes it next.
///
/// May suspend. Cancellation is checked only when it has to wait: coir::cancelled. A function that calls call_once() with the
/// same flag: std::system_error with std::errc::resource_deadlock_would_occur, naming the fiber.
///
///     coir::once_flag connected;
///     coir::call_once(connected, [&] { connection.open(address); });    // one fiber opens it, the others wait for that
template <class Function, class... Arguments>
void call_once(once_flag& flag, Function&& function, Arguments&&... arguments) {
    detail::once_call{flag, deadline::never()}(std::forward<Function>(function), std::forward<Arguments>(arguments)...);
}

/// As call_once(), but waits for another caller at most until `until`: returns false if that passes first.
template <class Function, class... Arguments>
[[nodiscard]] bool call_once_until(once_flag& flag, deadline until, Function&& function, Arguments&&... arguments) {
    return detail::once_call{flag, until}(std::forward<Function>(function), std::forward<Arguments>(arguments)...);
}

} // namespace coir
