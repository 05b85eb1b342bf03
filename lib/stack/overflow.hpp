#pragma once

#include "base/bounded_text.hpp"

#include <cstdint>
#include <optional>

namespace coir::detail {

/// Which overflow of one of coir's stacks it was. That of an access that is only repeated is the same one.
struct overflow {
    const void* address = nullptr; ///< of the access, or of the stack pointer of who was interrupted
    const void* owner = nullptr;   ///< of the stack
    std::uint64_t owner_id = 0;    ///< as owner_description says

    friend bool operator==(const overflow&, const overflow&) = default;
};

/// If the access to `address`, which faulted while the stack pointer was `stack_pointer`, was an overflow: appends what to say
/// of it. Async-signal-safe, in any thread.
[[nodiscard]] std::optional<overflow> describe_overflow(const void* address, const void* stack_pointer,
                                                        bounded_text& text) noexcept;

/// As describe_overflow(), if the kernel could not interrupt who runs at `stack_pointer`, for lack of room for its frame.
[[nodiscard]] std::optional<overflow> describe_signal_overflow(const void* stack_pointer, bounded_text& text) noexcept;

} // namespace coir::detail
