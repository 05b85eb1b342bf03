#pragma once

#include <cstdint>

namespace coir::detail {

/// An element of a loop's timer queue: derive from it.
struct timer {
    enum class use : std::uint8_t {
        wait, ///< the deadline of a wait_record
        scope ///< the deadline of a cancel_scope
    };

    explicit timer(use what) noexcept : timer_use(what) {}
    timer(const timer&) = delete;
    timer& operator=(const timer&) = delete;

    static constexpr std::uint32_t no_timer = UINT32_MAX;

    std::uint32_t timer_index = no_timer; ///< place in the queue, which keeps it up to date
    const use timer_use;
};

} // namespace coir::detail
