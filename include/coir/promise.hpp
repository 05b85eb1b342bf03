#pragma once

#include <coir/detail/future_state.hpp>
#include <coir/future.hpp>

#include <exception>
#include <memory>
#include <utility>

namespace coir {

namespace detail {

struct future_access {
    template <class T> [[nodiscard]] static future<T> make(std::shared_ptr<future_value<T>> state) noexcept {
        return future<T>{std::move(state)};
    }
};

/// A promise without set_value().
template <class T> class promise_base {
public:
    promise_base() : state_(std::make_shared<future_value<T>>()) {}
    promise_base(promise_base&&) noexcept = default;
    promise_base& operator=(promise_base&& other) noexcept {
        promise_base old{std::move(other)};
        swap(old);
        return *this;
    }
    ~promise_base() {
        if (state_)
            state_->break_promise();
    }

    void swap(promise_base& other) noexcept { state_.swap(other.state_); }

    /// Returns the future; may be called once. Throws std::future_errc::future_already_retrieved.
    [[nodiscard]] future<T> get_future() {
        state_of(state_).retrieve();
        return future_access::make<T>(state_);
    }

    /// Sets the result: get() will throw `failure`. Never suspends.
    void set_exception(std::exception_ptr failure) {
        future_value<T>& state = state_of(state_);
        state.begin_result();
        state.fail(std::move(failure));
        state.publish();
    }

protected:
    // `value` is what the result is made of; nothing for void.
    template <class... Value> void keep(Value&&... value) {
        future_value<T>& state = state_of(state_);
        state.begin_result();
        try {
            state.keep(std::forward<Value>(value)...);
        } catch (...) {
            state.withdraw_result();
            throw;
        }
        state.publish(); // the receiver of the result may destroy the promise at once
    }

private:
    std::shared_ptr<future_value<T>> state_;
};

} // namespace detail

/// The side of a coir::future that provides the result: std::promise. Any fiber or thread may do so. A promise that is
/// destroyed without a result leaves std::future_errc::broken_promise.
///
/// Nothing here suspends, unless constructing the value does. Throws std::future_error: promise_already_satisfied; no_state if
/// moved from. If constructing the value throws there is no result yet, and another may be set.
///
///     coir::promise<std::string> name;
///     resolver.on_answer([&](std::string answer) { name.set_value(std::move(answer)); });
///     std::cout << name.get_future().get(5s) << '\n';
template <class T> class promise : public detail::promise_base<T> {
public:
    /// Sets the result to `value`; waiters continue.
    void set_value(const T& value) { this->keep(value); }
    void set_value(T&& value) { this->keep(std::move(value)); }
};

template <class T> class promise<T&> : public detail::promise_base<T&> {
public:
    void set_value(T& value) { this->keep(value); }
};

template <> class promise<void> : public detail::promise_base<void> {
public:
    void set_value() { this->keep(); }
};

} // namespace coir
