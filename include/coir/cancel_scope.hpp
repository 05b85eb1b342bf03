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
/// The constructor enters the scope, the destructor leaves it: scopes are local variables, and nest. Once a scope is
/// cancelled every blocking call inside throws coir::cancelled (with a std::error_code argument:
/// std::errc::operation_canceled), the one that waits at the moment and each further one, until the scope is left. That
/// holds for scopes inside it, for the members of task groups opened inside it, and so on; of several deadlines the
/// tightest wins. What a call has completed is not lost: completion wins. A shield inside keeps cancellation from outside
/// out.
///
/// The fiber is inside, whatever function it is in: so a generator does not yield, nor a context suspend, inside a scope or a task
/// group of its own. The consumer would be inside as well, and the scopes of both would be left in the wrong order.
///
///     coir::cancel_scope scope{2s};
///     const bool in_time = scope.run([&] {
///         connect();
///         for (const auto& query : queries)
///             ask(query);                       // any of them, or all together, may use up the two seconds
///     });
///
/// Threads: belongs to the loop of the fiber that made it; cancel() may be called by any fiber of that loop.
class COIR_EXPORT cancel_scope {
public:
    /// Enters a scope that is cancelled at `until`. Does not suspend. Throws std::logic_error outside coir::run.
    explicit cancel_scope(deadline until = {}) { detail::enter_scope(state_, until); }
    /// Leaves it: blocking calls work again, unless something further out is cancelled as well.
    ~cancel_scope() { detail::leave_scope(state_); }
    cancel_scope(const cancel_scope&) = delete;
    cancel_scope& operator=(const cancel_scope&) = delete;

    /// Calls `function()`. True: it has returned; the scope goes on, and with it its deadline, until it is left. False: this scope was
    /// cancelled, and coir::cancelled came out; that is the end of the cancellation: blocking calls work again.
    /// Any other exception passes, and so does coir::cancelled when it is (also) meant for something further out.
    /// In a destructor that runs because an exception unwinds the stack, where nothing is told of cancellation from further out,
    /// `function` is told of this scope's.
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

    /// Cancels everything that is inside. Returns at once; the second time does nothing.
    void cancel() noexcept { detail::cancel_scope_state(state_); }

    /// It was cancelled, or its deadline has passed while a fiber inside was waiting or running.
    [[nodiscard]] bool cancel_called() const noexcept { return state_.cancelled || has_ended_one_; }

    /// In a handler of coir::cancelled around code in this scope: it is this scope that has been cancelled, and nothing
    /// further out. If not, throw it on.
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

/// A scope that cancellation from further out does not reach: for what must be finished in an orderly way, like telling a
/// peer good-bye. Its own deadline, if it has one, and its own cancel() do hold; except in a destructor that runs because an
/// exception unwinds the stack, where no coir::cancelled may leave it. There run() bounds what is done.
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
