#pragma once

#include <coir/cancelled.hpp>
#include <coir/detail/future_state.hpp>
#include <coir/fiber.hpp>
#include <coir/future.hpp>
#include <coir/promise.hpp>

#include <concepts>
#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace coir {

namespace detail {

/// The function of an async() fiber.
template <class T, class Work> class async_call : public can_be_given_up {
public:
    async_call(std::shared_ptr<future_value<T>> state, Work&& work) : state_(std::move(state)), work_(std::move(work)) {
        state_->begin_result();
    }
    async_call(async_call&&) = default;
    async_call& operator=(async_call&&) = delete;
    ~async_call() {
        if (state_) // it was never called, because the fiber did not get a stack
            fail(broken_promise());
    }

    void operator()() {
        try {
            state_->keep_result_of(std::move(*work_));
        } catch (...) {
            std::exception_ptr failure = std::current_exception();
            if (!failure)
                throw; // pthread_exit(): it is reported further out
            state_->fail(std::move(failure));
        }
        work_.reset(); // what it borrows may be gone when the result is there
        state_->publish();
        state_ = nullptr;
    }

    void give_up(bool in_child) noexcept {
        if (state_)
            fail(std::make_exception_ptr(cancelled{}), in_child);
    }

private:
    void fail(const std::exception_ptr& failure, bool in_child = false) noexcept {
        state_->fail(failure);
        in_child ? state_->publish_alone() : state_->publish();
        state_ = nullptr;
    }

    std::shared_ptr<future_value<T>> state_;
    std::optional<Work> work_;
};

} // namespace detail

/// Calls `function(arguments...)`, copied or moved as std::thread does, in a new fiber of the calling loop: std::async, with
/// the policy std::launch::async.
///
/// Does not suspend. The future may be used on any thread. The destructor of the last future that shares the result waits for
/// the end of the call, as the standard's does, and is not interrupted; so the call may use variables declared before the
/// future. When the loop ends the fiber is cancelled: the result is then coir::cancelled, unless the function returns normally.
/// The same holds if the loop gives the fiber up (loop_options::shutdown_deadline), and in the child of a fork(), where the
/// fiber does not continue. Errors, with nothing started: those of spawn(). If no stack can be had when the fiber is to begin,
/// the result is std::future_errc::broken_promise, and a line on stderr says why.
///
///     coir::future<page> left = coir::async(fetch, "https://left.example");
///     coir::future<page> right = coir::async(fetch, "https://right.example");
///     show(left.get(), right.get());
template <class Function, class... Arguments>
    requires(std::invocable<std::decay_t<Function>, std::decay_t<Arguments>...>)
auto async(const fiber_options& options, Function&& function, Arguments&&... arguments) {
    using result = std::invoke_result_t<std::decay_t<Function>, std::decay_t<Arguments>...>;
    auto work = detail::bind(std::forward<Function>(function), std::forward<Arguments>(arguments)...);
    auto state = std::make_shared<detail::future_value<result>>();
    spawn(options, detail::async_call<result, decltype(work)>{state, std::move(work)}).detach();
    detail::future_value<result>* const shared = state.get();
    return detail::future_access::make<result>(std::shared_ptr<detail::future_value<result>>{
        shared, [state = std::move(state)](auto*) { state->wait_uninterrupted(); }});
}

/// As above, with default options.
template <class Function, class... Arguments>
    requires(std::invocable<std::decay_t<Function>, std::decay_t<Arguments>...>)
auto async(Function&& function, Arguments&&... arguments) {
    return coir::async(fiber_options{}, std::forward<Function>(function), std::forward<Arguments>(arguments)...);
}

} // namespace coir
