#pragma once

#include <sys/single_threaded.h>

namespace coir::detail {

/// The process has one thread. Becomes false for ever with the second that is made.
[[nodiscard]] inline bool is_single_threaded() noexcept {
    return __libc_single_threaded != 0;
}

} // namespace coir::detail
