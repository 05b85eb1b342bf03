#pragma once

#include "io/operation.hpp"

#include <system_error>

namespace coir::detail {

/// Of an errno, 0, or was_cancelled.
[[nodiscard]] inline std::error_code error_code_of(int error) noexcept {
    if (error == was_cancelled)
        return std::make_error_code(std::errc::operation_canceled);
    return {error, std::generic_category()};
}

} // namespace coir::detail
