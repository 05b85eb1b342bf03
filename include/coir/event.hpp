#pragma once

#include <coir/deadline.hpp>
#include <coir/detail/gate.hpp>

namespace coir {

/// Something that has happened, or not yet: once it is set, wait() returns, for all present and later waiters, until reset().
/// Works between fibers of one loop or several, and threads without a loop, which then block as threads do.
///
///     coir::event stopping;
///     coir::spawn([&] { stopping.wait(); listener.close(); }).detach();
///     ...
///     stopping.set();
class event {
public:
    event() = default;
    event(const event&) = delete;
    event& operator=(const event&) = delete;

    /// Wakes all waiters. Never suspends. Everything done before set() is visible to those who find the event set.
    void set() noexcept { gate_.open(); }
    void reset() noexcept { gate_.shut(); }
    [[nodiscard]] bool is_set() const noexcept { return gate_.is_open(); }

    /// Returns when the event is set; false if `until` passes first. May suspend. Cancellation is checked only when it has to
    /// wait: then it throws coir::cancelled. Returns true even if the event was set and has been reset since. After it has
    /// returned, the event may be destroyed: set() does not touch it any more.
    bool wait(deadline until = {}) { return gate_.pass(until, detail::wait_kind::event, this, "event::wait"); }

private:
    friend detail::gate_case is_set(event& which) noexcept;

    detail::gate gate_;
};

/// A case for select(): the event is set.
[[nodiscard]] inline detail::gate_case is_set(event& which) noexcept {
    return {which.gate_, detail::wait_kind::event, &which};
}

} // namespace coir
