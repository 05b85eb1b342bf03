#pragma once

#include <coir/deadline.hpp>
#include <coir/detail/future_state.hpp>

#include <future>
#include <memory>
#include <type_traits>
#include <utility>

namespace coir {

template <class T> class shared_future;

namespace detail {

/// The common part of future and shared_future.
template <class T> class future_base {
public:
    /// There is a result, or there will be one.
    [[nodiscard]] bool valid() const noexcept { return state_ != nullptr; }

    /// Returns when the result is there. May suspend. Cancellation is checked only when it has to wait: coir::cancelled. Throws
    /// std::future_error with std::future_errc::no_state if not valid().
    void wait() const { state_of(state_).wait(deadline::never()); }
    /// As wait(), until `until`: std::future_status::ready or timeout.
    std::future_status wait_until(deadline until) const {
        return state_of(state_).wait(until) ? std::future_status::ready : std::future_status::timeout;
    }
    std::future_status wait_for(deadline duration) const { return wait_until(duration); }

protected:
    future_base() noexcept = default;
    explicit future_base(std::shared_ptr<future_value<T>> state) noexcept : state_(std::move(state)) {}

    std::shared_ptr<future_value<T>> state_;
};

} // namespace detail

/// A result that somebody will provide: std::future for fibers, of one loop or several, and for threads without a loop, which
/// then block as threads do. It comes from a coir::promise, or from coir::async().
///
/// A future is used by one fiber or thread at a time, but not necessarily by the one that obtained it. The destructor does not
/// wait, except for the future of an async(), which waits for the end of the call, as the standard's does, and is not
/// interrupted.
///
///     coir::promise<int> promise;
///     coir::future<int> answer = promise.get_future();
///     std::thread{[promise = std::move(promise)]() mutable { promise.set_value(42); }}.detach();
///     std::cout << answer.get(1s) << '\n';                // other fibers run meanwhile
template <class T> class [[nodiscard]] future : public detail::future_base<T> {
public:
    /// Not valid().
    future() noexcept = default;
    future(future&&) noexcept = default;
    future& operator=(future&&) noexcept = default;

    /// Waits for the result and takes it: returns the value, or throws what was thrown instead; coir::cancelled if that was
    /// the cancellation of an async(). Afterwards valid() is false.
    ///
    /// May suspend. When `until` passes first: std::system_error with std::errc::timed_out; when the caller is cancelled and has
    /// to wait: coir::cancelled; the future remains valid then. Throws std::future_error with
    /// std::future_errc::no_state if not valid(), and broken_promise when the promise went away without a result.
    T get(deadline until = {}) {
        detail::state_of(this->state_).wait_for_result(until);
        const std::shared_ptr<detail::future_value<T>> state = std::exchange(this->state_, nullptr);
        state->rethrow_failure();
        return state->take();
    }

    /// The same result for several users. Afterwards valid() is false.
    [[nodiscard]] shared_future<T> share() noexcept { return shared_future<T>{std::move(*this)}; }

private:
    friend detail::future_access;
    friend shared_future<T>;
    using detail::future_base<T>::future_base;
};

/// A future that can be copied, and whose result stays where it is: std::shared_future. Each waiter uses a copy of its own;
/// otherwise it behaves like coir::future.
template <class T> class [[nodiscard]] shared_future : public detail::future_base<T> {
public:
    /// Not valid().
    shared_future() noexcept = default;
    shared_future(future<T>&& other) noexcept // NOLINT(google-explicit-constructor): as the standard's
        : detail::future_base<T>(std::move(other.state_)) {}

    /// Waits for the result: returns a reference to the value, which lives as long as a future refers to it; or throws what was
    /// thrown instead. May suspend; deadline, cancellation and errors as for future::get().
    std::add_lvalue_reference_t<const T> get(deadline until = {}) const {
        detail::state_of(this->state_).wait_for_result(until);
        this->state_->rethrow_failure();
        return std::as_const(*this->state_).get();
    }
};

} // namespace coir
