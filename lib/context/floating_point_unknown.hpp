#pragma once

#include <coir/detail/floating_point_control.hpp>

namespace coir::detail {

// Only with -Dswitch=boost, and then what Boost.Context preserves is preserved. A fiber that takes over the stack of one that
// has ended finds that one's words.
[[nodiscard]] inline floating_point_control current_control_words() noexcept {
    return {};
}
inline void set_control_words(floating_point_control /*words*/) noexcept {}

} // namespace coir::detail
