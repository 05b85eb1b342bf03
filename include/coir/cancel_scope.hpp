#pragma once

#include <coir/cancelled.hpp>
#include <coir/deadline.hpp>
#include <coir/detail/scope_state.hpp>
#include <coir/export.hpp>

#include <type_traits>
#include <utility>

namespace coir {

/// A stretch of a fiber's execution that can be cancelled as a whole, by a deadline or by cancel(), without ending the fiber.
///
/// The constructor enters the scope, the destructor leaves it: scopes are local variables, and nest. Once a scope is cancelled,
/// every blocking call inside it throws coir::cancelled (with a std::error_code argument: reports
/// std::errc::operation_canceled), both the call that is waiting and each later one, until the scope is left. That includes
/// scopes inside it, the members of task groups opened inside it, and so on; of several deadlines the tightest wins. What a
/// call has completed is not lost: completion wins. A shield inside keeps out cancellation from outside.
///
/// It is the fiber that is inside a scope, whatever function it runs. So a generator must not yield, nor a context suspend,
/// inside a scope or task group of its own: the consumer would be inside as well, and the scopes of both would be left in the
/// wrong order.
///
///     coir::cancel_scope scope{2s};
///     const bool in_time = scope.run([&] {
///         connect();
///         for (const auto& query : queries)
///             ask(query);                       // any of them, or all together, may use up the two seconds
///     });
///
/// Threads: belongs to the loop of the fiber that created it; cancel() may be called by any fiber of that loop.
class COIR_EXPORT cancel_scope {
public:
    /// Enters a scope that is cancelled at `until`. Does not suspend. Throws std::logic_error outside coir::run.
    explicit cancel_scope(deadline until = {}) { detail::enter_scope(state_, until); }
    /// Leaves it: blocking calls work again, unless something further out is cancelled as well.
    ~cancel_scope() { detail::leave_scope(state_); }
    cancel_scope(const cancel_scope&) = delete;
    cancel_scope& operator=(const cancel_scope&) = delete;

    /// Calls `function()`. Returns true when it has returned; the scope, and its deadline, remain in force until it is left.
    /// Returns false when this scope was cancelled and `function` was left by coir::cancelled; the cancellation ends there, and
    /// blocking calls work again. Any other exception propagates, and so does coir::cancelled if it is (also) meant for
    /// something further out. In a destructor that runs because an exception unwinds the stack, cancellation from further out
    /// is not delivered, but that of this scope is delivered to `function`.
    template <class Function> bool run(Function&& function) {
        try {
            const detail::catching_scope until_it_returns{state_};
            std::forward<Function>(function)();
            return true;
        } catch (const cancelled&) {
            if (!is_cause())
                detail::pass_on_cancelled();
        }
        detail::end_cancellation(state_);
        has_ended_one_ = true;
        return false;
    }

    /// Cancels everything inside. Returns at once; a second call has no effect.
    void cancel() noexcept { detail::cancel_scope_state(state_); }

    /// It was cancelled, or its deadline has passed while a fiber inside was waiting or running.
    [[nodiscard]] bool cancel_called() const noexcept { return state_.cancelled || has_ended_one_; }

    /// In a handler of coir::cancelled around code in this scope: true if this scope has been cancelled, and nothing further
    /// out. If not, rethrow it.
    [[nodiscard]] bool is_cause() const noexcept { return detail::is_cause_of_cancellation(state_); }

    /// Sets another deadline, earlier or later, or none; for a scope that has not been cancelled.
    void expires_at(deadline until) { detail::set_scope_deadline(state_, until); }

protected:
    struct shielding {};
    cancel_scope(shielding, deadline until) {
        state_.shields = true;
        detail::enter_scope(state_, until);
    }

private:
    template <class Function> friend std::invoke_result_t<Function> with_timeout(deadline until, Function&& function);

    detail::scope_state state_;
    bool has_ended_one_ = false; // run()
};

/// A scope that cancellation from further out does not reach: for work that must be finished in an orderly way, such as saying
/// good-bye to a peer. Its own deadline, if it has one, and its own cancel() do apply, except in a destructor that runs because
/// an exception unwinds the stack, where no coir::cancelled may leave it. There, use run() to bound the work.
///
///     connection::~connection() {
///         coir::shield in_peace{1s};               // also while the server shuts down, but not for ever
///         in_peace.run([&] { send_goodbye(); });
///     }
class COIR_EXPORT shield : public cancel_scope {
public:
    explicit shield(deadline until = {}) : cancel_scope(shielding{}, until) {}
};

} // namespace coir
