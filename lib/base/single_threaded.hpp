#pragma once

#include <sys/single_threaded.h>

namespace coir::detail {

/// The process has one thread, and nobody to compete with: atomic operations may be left out. Becomes false for ever with the
/// first thread that is made, which sees everything that was done before.
[[nodiscard]] inline bool is_single_threaded() noexcept {
    return __libc_single_threaded != 0;
}

} // namespace coir::detail
