#pragma once

#include <coir/deadline.hpp>
#include <coir/detail/initial_count.hpp>
#include <coir/detail/scope_state.hpp>
#include <coir/detail/waiter_queue.hpp>
#include <coir/export.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <utility>

namespace coir {

namespace detail {

struct barrier_arrival {
    std::uint64_t phase;
    bool is_last; ///< of this phase
};

/// A barrier without its completion function.
class COIR_EXPORT barrier_core {
public:
    explicit barrier_core(std::ptrdiff_t expected) noexcept : expected_(expected), missing_(expected) {}

    /// The last to arrive must call begin_next_phase().
    [[nodiscard]] barrier_arrival arrive(std::ptrdiff_t update, bool leaves);
    void begin_next_phase() noexcept;
    /// Waits until `phase` is over; false if `until` passes first.
    bool wait(std::uint64_t phase, deadline until) const;

private:
    mutable waiter_queue queue_; // its lock guards all
    std::ptrdiff_t expected_;    // of a phase
    std::ptrdiff_t missing_;     // of this phase; 0: it is being completed
    std::uint64_t phase_ = 0;
};

/// The completion function of a barrier that was given none.
struct nothing_to_complete {
    void operator()() const noexcept {}
};

} // namespace detail

/// Where a number of fibers, of one loop or several, and threads without a loop, wait for one another, phase after phase:
/// std::barrier. The last to arrive in a phase calls `completion()`; then all continue, and the next phase begins.
///
/// The completion function must not throw. It may suspend; while it runs cancellation does not reach it.
///
/// The waits may suspend. Cancellation is checked only when they have to wait: coir::cancelled. An arrival counts whatever
/// becomes of the wait: a participant that gave up, by deadline or cancellation, must not arrive again in the same phase. An
/// arrival beyond the expected number throws std::logic_error that names the fiber.
///
/// May be destroyed when nobody will arrive or wait any more and all waits have returned. The arrival that ended the last phase
/// need not have returned: it does not touch the barrier after releasing the others.
///
///     coir::barrier step{3, [&]() noexcept { std::swap(current, next); }};
///     for (const range part : parts)
///         group.spawn([&, part] { while (!done()) { compute(part, current, next); step.arrive_and_wait(); } });
template <class CompletionFunction = detail::nothing_to_complete> class barrier {
public:
    static_assert(std::is_nothrow_invocable_v<CompletionFunction&>, "there is nobody who could be told what it throws");

    /// Identifies the phase of an arrival.
    class arrival_token {
    public:
        arrival_token(arrival_token&&) noexcept = default;
        arrival_token& operator=(arrival_token&&) noexcept = default;

    private:
        friend barrier;
        explicit arrival_token(std::uint64_t phase) noexcept : phase_(phase) {}
        std::uint64_t phase_;
    };

    [[nodiscard]] static constexpr std::ptrdiff_t(max)() noexcept { return std::numeric_limits<std::ptrdiff_t>::max(); }

    /// Expects `expected` arrivals in each phase. Throws std::invalid_argument if that is negative.
    explicit barrier(std::ptrdiff_t expected, CompletionFunction completion = CompletionFunction())
        : core_(detail::initial_count(expected, (max)(), "barrier")), completion_(std::move(completion)) {}
    barrier(const barrier&) = delete;
    barrier& operator=(const barrier&) = delete;

    /// Arrives `update` times, without waiting; suspends only in the completion function.
    [[nodiscard]] arrival_token arrive(std::ptrdiff_t update = 1) {
        return arrival_token{arrive_and_complete(update, false).phase};
    }

    /// Returns when the phase of `token` is over; false when `until` has passed before: then `token` is still good.
    bool wait(arrival_token&& token, deadline until = {}) const { return core_.wait(token.phase_, until); }

    /// Arrives, and waits for the others.
    bool arrive_and_wait(deadline until = {}) {
        const detail::barrier_arrival arrived = arrive_and_complete(1, false);
        return arrived.is_last || core_.wait(arrived.phase, until);
    }

    /// Arrives; later phases expect one arrival fewer.
    void arrive_and_drop() { arrive_and_complete(1, true); }

private:
    detail::barrier_arrival arrive_and_complete(std::ptrdiff_t update, bool leaves) {
        const detail::barrier_arrival arrived = core_.arrive(update, leaves);
        if (arrived.is_last) {
            {
                const detail::cancellation_pause in_peace;
                completion_();
            }
            core_.begin_next_phase();
        }
        return arrived;
    }

    detail::barrier_core core_;
    [[no_unique_address]] CompletionFunction completion_;
};

} // namespace coir
