#pragma once

#include <cstdint>

namespace coir::detail {

/// Rounding, precision and exception masks of floating-point arithmetic, which every execution has for itself; which
/// word is which is the architecture's: lib/context/floating_point.hpp.
struct floating_point_control {
    std::uint32_t first;
    std::uint32_t second;
};

} // namespace coir::detail
