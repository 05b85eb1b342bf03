#pragma once

#include <coir/deadline.hpp>

#include <atomic>
#include <cstdint>

namespace coir::detail {

/// Where a thread that runs no loop waits for a claimed record to be delivered. One for each thread, as long as it lives:
/// who wakes may still be inside the system call when the one that was woken has gone on.
class thread_parker {
public:
    thread_parker() = default;
    thread_parker(const thread_parker&) = delete;
    thread_parker& operator=(const thread_parker&) = delete;

    /// The calling thread's.
    [[nodiscard]] static thread_parker& current() noexcept;

    /// Blocks the calling thread, whose parker this is, until unpark() has been called once for this, or until `until`:
    /// then false.
    [[nodiscard]] bool park(deadline until) noexcept;

    /// From any thread; the last thing that is done to the parker is a system call with its address.
    void unpark() noexcept;

private:
    std::atomic<std::uint32_t> unparked_{0};
};

} // namespace coir::detail
