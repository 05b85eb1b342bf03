#pragma once

#include <cstdint>

namespace coir::detail {

/// Who holds a lock: address of a fiber_base, or of a thread_parker marked by bit 1. Bit 0 is free for the user of the type.
using holder = std::uintptr_t;

inline constexpr holder is_thread = 2;
inline constexpr holder holder_marks = 3; ///< all that is no address

} // namespace coir::detail
