#pragma once

#include <algorithm>
#include <chrono>
#include <span>

namespace selftest {

/// What one switch costs, with what is named done and no more.
struct timing {
    const char* name;
    const char* title;
    double (*nanoseconds)(); ///< runs in a process of its own, as duty::check does
};

/// `round_trip` is two switches. The shortest of several: an interrupt makes one longer, nothing makes one shorter.
template <class RoundTrip> double nanoseconds_per_switch(RoundTrip round_trip) {
    using clock = std::chrono::steady_clock;
    constexpr int round_trips = 20'000;
    constexpr int tries = 15;
    auto shortest = clock::duration::max();
    for (int i = 0; i < tries; ++i) {
        const clock::time_point start = clock::now();
        for (int j = 0; j < round_trips; ++j)
            round_trip();
        shortest = std::min(shortest, clock::now() - start);
    }
    return std::chrono::duration<double, std::nano>(shortest).count() / (2.0 * round_trips);
}

/// The switch taken apart, from the least that could be called one. By architecture; empty where nobody has done that.
[[nodiscard]] std::span<const timing> timings_of_variants();

/// coir::context, as users call it.
[[nodiscard]] std::span<const timing> timings_of_library();

} // namespace selftest
