#pragma once

#include <coir/deadline.hpp>
#include <coir/detail/gate.hpp>
#include <coir/detail/kept_result.hpp>
#include <coir/export.hpp>

#include <atomic>
#include <exception>
#include <future>
#include <memory>
#include <utility>

namespace coir::detail {

/// The state that a promise, or an asynchronous call, shares with its futures, without the value. A result is stored in three
/// steps, since constructing the value runs user code: begin_result() makes sure that it is the only one, then value or failure
/// is stored, and publish() wakes the waiters.
class COIR_EXPORT future_state {
public:
    future_state() = default;
    future_state(const future_state&) = delete;
    future_state& operator=(const future_state&) = delete;

    /// Throws std::future_errc::promise_already_satisfied.
    void begin_result();
    /// No value was stored after all; another may follow.
    void withdraw_result() noexcept { is_satisfied_.store(false, std::memory_order_release); }
    /// After begin_result().
    void fail(std::exception_ptr failure) noexcept { failure_ = std::move(failure); }
    void publish() noexcept { ready_.open(); }
    /// As publish(), in the child of a fork().
    void publish_alone() noexcept { ready_.open_alone(); }
    /// Nobody will provide a result any more.
    void break_promise() noexcept;

    /// There is one future, or those that were copied from it. Throws std::future_errc::future_already_retrieved.
    void retrieve();

    /// Until the result is there; false when `until` has passed before. Throws cancelled.
    bool wait(deadline until) { return ready_.pass(until, wait_kind::future, this, "future::wait"); }
    /// Waits until the result is there; cannot be interrupted.
    void wait_uninterrupted() noexcept;
    /// Waits until the result is there; throws std::errc::timed_out, or cancelled.
    void wait_for_result(deadline until);
    /// After a wait.
    void rethrow_failure() const {
        if (failure_)
            std::rethrow_exception(failure_);
    }

private:
    std::atomic<bool> is_satisfied_{false};
    std::atomic<bool> is_retrieved_{false};
    std::exception_ptr failure_; // written before ready_ is opened, read after it has been passed
    gate ready_;
};

/// With the value, written and read as the failure is.
template <class T> class future_value : public future_state, public kept_result<T> {};

[[noreturn]] COIR_EXPORT void throw_future_error(std::future_errc error);

/// What the future of a broken promise throws: std::future_error, or std::bad_alloc when there is no memory for its message.
[[nodiscard]] COIR_EXPORT std::exception_ptr broken_promise() noexcept;

/// What `state`, of a promise or a future, points at. Throws std::future_errc::no_state.
template <class State> [[nodiscard]] State& state_of(const std::shared_ptr<State>& state) {
    if (!state)
        throw_future_error(std::future_errc::no_state);
    return *state;
}

/// For promises and asynchronous calls, which make futures.
struct future_access;

} // namespace coir::detail
