#pragma once

#include <coir/cancel_scope.hpp>
#include <coir/deadline.hpp>
#include <coir/export.hpp>

#include <functional>
#include <optional>
#include <system_error>
#include <type_traits>
#include <utility>

namespace coir {

/// What with_timeout() throws. A std::system_error with std::errc::timed_out, like the timeouts of single calls.
class COIR_EXPORT timed_out : public std::system_error {
public:
    timed_out();
    ~timed_out() override; // out of line: one type_info for all shared libraries
};

/// Calls `function()` and returns what it returns; throws timed_out when `until` comes first: then the blocking call in
/// progress, or the next one, has thrown coir::cancelled inside the function, and destructors have run. One deadline for many
/// calls.
///
/// May suspend where `function` does. If the function ends nevertheless, its result is delivered: completion wins. On
/// cancellation from further out, coir::cancelled propagates. Throws std::logic_error outside coir::run.
///
///     const page front = coir::with_timeout(5s, [&] { return fetch(address); });
template <class Function> std::invoke_result_t<Function> with_timeout(deadline until, Function&& function) {
    cancel_scope scope{until};
    try {
        const detail::catching_scope until_it_returns{scope.state_};
        return std::invoke(std::forward<Function>(function));
    } catch (const cancelled&) {
        if (!scope.is_cause())
            detail::pass_on_cancelled();
    }
    throw timed_out{};
}

/// As with_timeout(), but without an exception: std::nullopt when `until` comes first. For a function that returns
/// nothing: bool.
///
///     if (std::optional<page> front = coir::try_with_timeout(5s, [&] { return fetch(address); }))
///         show(*front);
template <class Function> auto try_with_timeout(deadline until, Function&& function) {
    using result = std::invoke_result_t<Function>;
    cancel_scope scope{until};
    if constexpr (std::is_void_v<result>) {
        return scope.run(std::forward<Function>(function));
    } else {
        std::optional<result> value;
        scope.run([&] { value.emplace(std::invoke(std::forward<Function>(function))); });
        return value;
    }
}

} // namespace coir
