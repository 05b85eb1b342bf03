#pragma once

#include <cstdint>

namespace coir {

/// What happens to a value for which a subscriber of a coir::broadcast has no room.
enum class slow_subscriber : std::uint8_t {
    is_waited_for, ///< broadcast::send() waits until there is room: nothing is lost
    loses_oldest,  ///< its oldest unreceived value is dropped, and counted by subscription::missed()
};

} // namespace coir
