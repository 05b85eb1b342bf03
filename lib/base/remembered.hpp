#pragma once

#include <atomic>

namespace coir::detail {

/// What `find_out()` says, which is always as good as what it has said before: asked at first use, by each thread that comes
/// before another one has the answer. Unlike with a static variable of a function no thread ever waits here for another one,
/// which a child of fork() may not have.
template <auto find_out> [[nodiscard]] auto remembered() noexcept(noexcept(find_out())) {
    static constinit std::atomic<decltype(find_out())> answer{};
    static constinit std::atomic<bool> is_known{false};
    if (!is_known.load(std::memory_order_acquire)) [[unlikely]] {
        answer.store(find_out(), std::memory_order_relaxed);
        is_known.store(true, std::memory_order_release);
    }
    return answer.load(std::memory_order_relaxed);
}

} // namespace coir::detail
