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

    /// Blocks the calling thread, whose parker this is, until unpark(delivered), or until `until`: then false. unpark() is
    /// called once for each `delivered`, which must live until it has been, or is known not to be.
    [[nodiscard]] bool park(const std::atomic<bool>& delivered, deadline until) noexcept;

    /// From any thread. `delivered` may be gone when it has been set, since a token of another wait will do as well for the
    /// one that waits; the parker is not, until this token has been taken. The last that is done is a system call with
    /// its address.
    void unpark(std::atomic<bool>& delivered) noexcept;

private:
    [[nodiscard]] bool take_token(deadline until) noexcept;

    std::atomic<std::uint32_t> tokens_{0}; // one for each unpark() that has not been waited for
    std::uint32_t kept_ = 0;               // tokens taken by a wait further in; the thread's own
};

} // namespace coir::detail
