#pragma once

#include <coir/deadline.hpp>
#include <coir/detail/selectable.hpp>
#include <coir/detail/waiter_queue.hpp>
#include <coir/export.hpp>

#include <atomic>

namespace coir::detail {

/// Open or shut; waiters pass when it is open, or opened meanwhile. The common part of events, latches and futures. For any
/// threads.
///
/// A waiter that has passed may destroy the gate at once, even though open() has not returned: that does not touch the gate any
/// more.
class COIR_EXPORT gate {
public:
    constexpr explicit gate(bool is_open = false) noexcept : is_open_(is_open) {}

    /// Lets all present and later waiters pass. Everything done before is visible to them.
    void open() noexcept;
    /// The same in the child of a fork(), where all waiters are gone, and one of them may have held the lock.
    void open_alone() noexcept;
    void shut() noexcept;

    /// Only a look: seeing it open does not count as having passed.
    [[nodiscard]] bool is_open() const noexcept { return is_open_.load(std::memory_order_acquire); }
    /// Passes if that is possible without waiting.
    [[nodiscard]] bool try_pass() noexcept;
    /// Returns when it is open; false when `until` has passed before. May suspend. Throws cancelled, if it has to wait.
    bool pass(deadline until, wait_kind kind, const void* object, const char* operation);

    /// For select(): puts `record` among the waiters; false if it need not wait.
    [[nodiscard]] bool enter(wait_record& record) noexcept;
    void leave(wait_record& record) noexcept;

private:
    std::atomic<bool> is_open_; // written under the queue's lock
    waiter_queue queue_;
};

/// A gate as a case of select().
class COIR_EXPORT gate_case final : public selectable {
public:
    gate_case(gate& which, wait_kind kind, const void* object) noexcept : selectable(kind, object), gate_(which) {}
    bool try_now() override { return gate_.try_pass(); }
    bool enter() noexcept override { return gate_.enter(record()); }
    void leave() noexcept override { gate_.leave(record()); }
    bool complete(wake_reason /*why*/) override { return true; }

private:
    gate& gate_;
};

} // namespace coir::detail
