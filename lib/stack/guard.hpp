#pragma once

#include <cstddef>
#include <system_error>

namespace coir::detail {

/// Bytes of a page of this machine.
[[nodiscard]] std::size_t page_size() noexcept;

/// How the memory below a stack is made untouchable.
enum class guard_kind {
    marker,     ///< MADV_GUARD_INSTALL (Linux 6.13): costs no mapping, so their number is not limited
    protection, ///< mprotect(PROT_NONE): splits the mapping, about 32,000 stacks under the default vm.max_map_count
};

/// What this process can have. Found out once, by trying: kernels without the marker say so, but some sandboxes and
/// emulators report success and do nothing, so a system call must have failed on a marked page (hazard C3).
[[nodiscard]] guard_kind available_guard() noexcept;

/// Makes `bytes`, whole pages, at `begin` untouchable for as long as they are mapped; whatever they held is gone. Reports
/// why it cannot: then the memory above must not be used as a stack. `kind` is a preference: where markers are refused
/// (locked memory), protection is used.
[[nodiscard]] std::error_code install_guard(std::byte* begin, std::size_t bytes, guard_kind kind) noexcept;

} // namespace coir::detail
