#pragma once

#include "duty.hpp"

#include <cstdint>

namespace selftest {

/// What an unwinder finds above a place.
struct trace {
    int frames = 0;
    int frames_for_libc = 0; ///< as backtrace() counts them
    std::uintptr_t outermost = 0;
    bool ends = false;
};

/// Taken `depth` calls further in.
[[nodiscard]] trace trace_at(int depth);

/// `take` has trace_at() called on the stack in question: do the numbers of frames agree with those of calls, and is the
/// outermost frame the entry?
[[nodiscard]] finding check_traces(trace (*take)(int depth), bool spoiled);

} // namespace selftest
