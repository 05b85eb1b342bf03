#pragma once

#include <atomic>

namespace coir::detail {

/// For what a process does once, as a static object: true for the first that asks, and for nobody else. Nobody waits until it has
/// been done: of the one who does it the child of a fork() may know nothing.
class first_call {
public:
    [[nodiscard]] bool is_this() noexcept { return !has_been_.exchange(true, std::memory_order_relaxed); }

private:
    std::atomic<bool> has_been_{false};
};

} // namespace coir::detail
