#pragma once

#include <atomic>
#include <memory>

namespace coir::detail {

/// The process's only such object, which `make()` returns a std::unique_ptr to. Made at first use and never destroyed: threads
/// may use it as long as the process lives (hazard G9). Unlike with a static variable of a function no thread ever waits here
/// for another one, which a child of fork() may not have: two that come at the same time make one each, and one is destroyed.
template <auto make> [[nodiscard]] auto& made_once() {
    static constinit std::atomic<decltype(make().get())> only{nullptr};
    if (const auto made = only.load(std::memory_order_acquire)) [[likely]]
        return *made;
    auto fresh = make();
    decltype(fresh.get()) first = nullptr;
    if (only.compare_exchange_strong(first, fresh.get(), std::memory_order_acq_rel))
        return *fresh.release();
    return *first;
}

} // namespace coir::detail
