#pragma once

#include <cstddef>

namespace coir::detail {

/// How many pages of [bottom, end) are in memory or above one that is: how deep the stack there has been, in pages. What
/// the kernel has swapped out does not count. Both are at the begin of a page. A system call for each 256 pages.
[[nodiscard]] std::size_t pages_in_use(const std::byte* bottom, const std::byte* end) noexcept;

/// Gives the memory of [begin, end) back to the system: it is zero when it is next used. Both are at the begin of a page.
void release_memory(std::byte* begin, std::byte* end) noexcept;

/// Gives back what the stack in [bottom, bottom + bytes) has in memory below the page on which the caller runs. Does nothing
/// if the caller runs elsewhere.
void release_below_caller(std::byte* bottom, std::size_t bytes) noexcept;

} // namespace coir::detail
