#pragma once

#include "io/operation.hpp"

#include <cerrno>
#include <new>
#include <system_error>

namespace coir::detail {

/// Of an errno, 0, or was_cancelled.
[[nodiscard]] inline std::error_code error_code_of(int error) noexcept {
    if (error == was_cancelled)
        return std::make_error_code(std::errc::operation_canceled);
    return {error, std::generic_category()};
}

/// A connection has ended by `error`. The kernel tells so once: who asks next seems to come to an ordinary end, or is told EPIPE.
[[nodiscard]] constexpr bool ends_connection(int error) noexcept {
    return error == ECONNRESET || error == ETIMEDOUT;
}

/// What `body()` throws, as calls report it that do not throw; none if it returns.
template <class Body> [[nodiscard]] std::error_code error_thrown_by(Body body) noexcept {
    try {
        body();
        return {};
    } catch (const std::system_error& failure) {
        return failure.code();
    } catch (const std::bad_alloc&) {
        return error_code_of(ENOMEM);
    }
}

} // namespace coir::detail
