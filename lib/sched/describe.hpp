#pragma once

#include <coir/detail/fiber_base.hpp>

#include <string>

namespace coir::detail {

/// `fiber 42 "name"`, for messages.
[[nodiscard]] std::string describe(const fiber_base& fiber);

} // namespace coir::detail
