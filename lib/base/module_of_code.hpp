#pragma once

#include "base/bounded_text.hpp"

namespace coir::detail {

/// Appends ` = libc.so.6+0x8af1c`: which file the instruction at `address` was loaded from, and the address that `addr2line -e`
/// of this file wants. Nothing where that is not known. Async-signal-safe: takes no lock of the dynamic linker, which the
/// interrupted code, or another thread, may hold.
void append_module(const void* address, bounded_text& text) noexcept;

} // namespace coir::detail
