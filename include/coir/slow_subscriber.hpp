#pragma once

#include <cstdint>

namespace coir {

/// What becomes of a value that a subscriber of a coir::broadcast has no room for.
enum class slow_subscriber : std::uint8_t {
    is_waited_for, ///< broadcast::send() waits until there is room: nothing is lost
    loses_oldest,  ///< the oldest value that it has not received makes room, and is counted by subscription::missed()
};

} // namespace coir
