#pragma once

#include <coir/deadline.hpp>
#include <coir/export.hpp>
#include <coir/fiber.hpp>

#include <chrono>
#include <string_view>
#include <system_error>

/// The running fiber. All of these throw std::logic_error when called outside coir::run.
namespace coir::this_fiber {

/// Lets every other ready fiber run, then continues. Suspends if there is one. Now and then the loop looks for IO and
/// timers meanwhile, so a long computation that calls yield() at intervals keeps the others alive.
/// No system call, no clock, about 10 ns. Throws coir::cancelled.
///
///     for (const auto& block : blocks) {
///         hash.update(block);
///         coir::this_fiber::yield();
///     }
COIR_EXPORT void yield();

/// Suspends until `until`. Never too early; late by at most what the other fibers keep the thread busy, and about
/// 0.1 ms. A time in the past yields. Throws coir::cancelled.
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

/// Somebody has cancelled this fiber: its blocking calls throw coir::cancelled.
[[nodiscard]] COIR_EXPORT bool cancel_requested();

/// Gives the memory that this fiber's stack has below the caller back to the system: for one that has gone deep once (a
/// TLS handshake, a regular expression) and will now wait for long. One system call; going deep again costs a page fault a
/// page. Does nothing in a context that the fiber has resumed.
///
///     coir::this_fiber::trim_stack();
///     connection.wait_for_request();
COIR_EXPORT void trim_stack();

} // namespace coir::this_fiber
