#pragma once

#include <atomic>

namespace coir::detail {

/// Recognises a process that was made by _Fork() or clone(), without the handlers that fork() calls: there a loop still is the
/// parent's, and using its epoll would do harm in the parent (hazard D8).
class fork_canary {
public:
    /// From now on it recognises them. May be called again.
    static void watch() noexcept;

    /// Must be called before a loop speaks to epoll. Ends a process that is not the loop's, saying why.
    static void require_own_process() noexcept {
        if (*is_own_.load(std::memory_order_acquire) == 0) [[unlikely]]
            end_process();
    }

private:
    [[noreturn]] static void end_process() noexcept;

    static constinit unsigned char always_own_;
    /// To what the kernel clears in every child and our fork() handler sets again.
    static constinit std::atomic<volatile unsigned char*> is_own_;
};

} // namespace coir::detail
