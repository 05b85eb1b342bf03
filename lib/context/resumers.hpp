#pragma once

#include "context/exception_state.hpp"

namespace coir::detail {

/// What those are in the middle of who wait, one within another, for a context: each has exceptions of its own.
struct resumers {
    int unwinding = 0;    ///< exceptions that unwind their stacks
    bool handles = false; ///< one of them is in a handler

    void add(const exception_globals& of_one) noexcept {
        unwinding += static_cast<int>(of_one.uncaught_exceptions);
        handles = handles || of_one.caught_exceptions;
    }
};

/// Of the context that `place`, an address, is on the stack of; nobody if it is on another stack. The context is running, or blocks
/// with the fiber that it runs in.
[[nodiscard]] resumers find_resumers(const void* place) noexcept;

} // namespace coir::detail
