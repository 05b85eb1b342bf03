#pragma once

#include "io/descriptor_slot.hpp"

namespace coir::detail {

/// Asks the system what `number` is. Returns 0 or an errno.
[[nodiscard]] int find_kind(int number, descriptor_kind& kind) noexcept;

} // namespace coir::detail
