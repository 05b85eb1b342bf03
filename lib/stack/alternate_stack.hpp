#pragma once

namespace coir::detail {

/// Gives the calling thread a stack for signal handlers, if it has none. Returns what remove_alternate_stack() needs: null
/// if somebody else has set one, or if there is no memory.
[[nodiscard]] void* add_alternate_stack() noexcept;

/// Takes back what add_alternate_stack() gave this thread. One that somebody else has set meanwhile stays.
void remove_alternate_stack(void* added) noexcept;

} // namespace coir::detail
