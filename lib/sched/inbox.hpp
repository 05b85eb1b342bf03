#pragma once

#include <coir/detail/shared_wait.hpp>

#include <atomic>

namespace coir::detail {

/// Records of fibers of one loop that other threads have claimed, for the loop to make ready. Any thread puts in, the
/// loop's thread takes out. Lock-free; in order for each thread that puts in.
class inbox {
public:
    /// Something may be there. For the loop's thread.
    [[nodiscard]] bool empty(std::memory_order order = std::memory_order_relaxed) const noexcept {
        return newest_.load(order) == nullptr;
    }

    void push(shared_wait& record) noexcept {
        shared_wait* newest = newest_.load(std::memory_order_relaxed);
        do
            record.next_posted = newest;
        while (!newest_.compare_exchange_weak(newest, &record, std::memory_order_seq_cst, std::memory_order_relaxed));
    }

    /// Takes all, oldest first; calls `visit(record)` for each, which may make it invalid.
    template <class Visit> void take_all(Visit visit) noexcept {
        shared_wait* newest = newest_.exchange(nullptr, std::memory_order_acquire);
        shared_wait* oldest = nullptr;
        while (newest) {
            shared_wait* const older = newest->next_posted;
            newest->next_posted = oldest;
            oldest = newest;
            newest = older;
        }
        while (oldest) {
            shared_wait* const newer = oldest->next_posted;
            visit(*oldest);
            oldest = newer;
        }
    }

private:
    std::atomic<shared_wait*> newest_{nullptr}; // linked through next_posted
};

} // namespace coir::detail
