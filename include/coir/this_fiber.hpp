#pragma once

#include <coir/deadline.hpp>
#include <coir/export.hpp>
#include <coir/fiber.hpp>

#include <chrono>
#include <string_view>
#include <system_error>

/// The running fiber. All of these throw std::logic_error when called outside coir::run.
namespace coir::this_fiber {

/// Lets every other ready fiber run, then continues. Suspends if there is one. Now and then the loop also checks for IO and
/// timers, so a long computation that calls yield() at intervals keeps the others alive. No system call, no clock, about 10 ns.
/// Throws coir::cancelled.
///
///     for (const auto& block : blocks) {
///         hash.update(block);
///         coir::this_fiber::yield();
///     }
COIR_EXPORT void yield();

/// Suspends until `until`. Never too early; late by the time for which other fibers keep the thread busy, plus about 0.1 ms. A
/// time in the past yields. Throws coir::cancelled.
COIR_EXPORT void sleep_until(deadline until);

/// As above; reports cancellation as std::errc::operation_canceled, a call outside coir::run as operation_not_permitted.
COIR_EXPORT void sleep_until(deadline until, std::error_code& error) noexcept;

/// Suspends for at least `duration`; otherwise as sleep_until().
///
///     coir::this_fiber::sleep_for(50ms);
template <class Rep, class Period> void sleep_for(std::chrono::duration<Rep, Period> duration) {
    sleep_until(deadline{duration});
}

/// As above, with the errors of sleep_until().
template <class Rep, class Period>
void sleep_for(std::chrono::duration<Rep, Period> duration, std::error_code& error) noexcept {
    sleep_until(deadline{duration}, error);
}

[[nodiscard]] COIR_EXPORT fiber_id id();

/// Empty for a fiber without a name. Valid until the fiber ends.
[[nodiscard]] COIR_EXPORT std::string_view name();

/// True if this fiber has been cancelled: its blocking calls throw coir::cancelled.
[[nodiscard]] COIR_EXPORT bool cancel_requested();

/// Returns the memory of this fiber's stack below the caller to the system: for a fiber that has used much stack once (a TLS
/// handshake, a regular expression) and will now wait for long. One system call; using the stack again costs a page fault per
/// page. Does nothing in a context that the fiber has resumed.
///
///     coir::this_fiber::trim_stack();
///     connection.wait_for_request();
COIR_EXPORT void trim_stack();

} // namespace coir::this_fiber
