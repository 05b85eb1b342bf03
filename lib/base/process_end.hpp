#pragma once

namespace coir::detail {

/// exit() has been called, or main() has returned: static objects are destroyed, and what they own, although fibers and threads may
/// wait for them and hold them, and go on. So that is no misuse (hazard G9).
[[nodiscard]] bool is_process_ending() noexcept;

/// The calling thread is about to run a loop, in whose fibers exit() may be called.
void expect_process_end() noexcept;

} // namespace coir::detail
