#pragma once

namespace coir::detail {

/// A full memory barrier on all threads of the process: those that run execute one before this returns, the others have. From
/// any thread. Takes a microsecond or more, and interrupts them. Only if has_process_barrier().
void process_barrier() noexcept;

/// Whether the system offers it: membarrier(2), Linux 4.14. Asked once.
[[nodiscard]] bool has_process_barrier() noexcept;

} // namespace coir::detail
