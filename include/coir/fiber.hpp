#pragma once

#include <coir/deadline.hpp>
#include <coir/detail/fiber_base.hpp>
#include <coir/detail/fiber_task.hpp>
#include <coir/detail/selectable.hpp>
#include <coir/spawn_site.hpp>
#include <coir/stack_size.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <type_traits>
#include <utility>

namespace coir {

/// How a fiber is created.
struct fiber_options {
    /// For diagnostics: shown in error messages. Copied.
    std::string_view name = {};
    /// Usable bytes of stack, rounded up to pages and committed as they are touched; 0 stands for
    /// loop_options::stack_size. At least minimum_stack_size.
    std::size_t stack_size = 0;
    /// Where it was spawned, for reports: the line on which these options are written, in braces. (An object without
    /// initializer, `fiber_options options;`, gets the line of this declaration instead: that is all the compiler knows.)
    spawn_site site = spawn_site::current();
};

/// Identifies a fiber for as long as the process lives; never reused.
using fiber_id = std::uint64_t;

namespace detail {

struct fiber_access;

/// The end of a fiber as a case of select().
class COIR_EXPORT end_case final : public selectable {
public:
    explicit end_case(fiber_base* which) noexcept : selectable(wait_kind::join, which), fiber_(which) {}
    bool try_now() override;
    bool enter() noexcept override;
    void leave() noexcept override;
    bool complete(wake_reason why) override;

private:
    fiber_base* const fiber_;
};

} // namespace detail

/// Owns a task that runs on a stack of its own: shaped like `std::jthread`, with a result.
///
/// Made by spawn(). The destructor cancels the fiber and waits for its end, so a fiber does not outlive the scope that
/// made it unless it is detached. A handle may be moved; it belongs to the loop's thread.
///
///     coir::fiber<int> answer = coir::spawn([] { return 42; });
///     std::cout << answer.join() << '\n';
template <class T> class [[nodiscard]] fiber {
public:
    using value_type = T;

    /// Empty: joinable() is false.
    fiber() noexcept = default;

    fiber(fiber&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}

    /// Cancels and awaits the fiber owned until now.
    fiber& operator=(fiber&& other) noexcept {
        fiber old{std::exchange(state_, std::exchange(other.state_, nullptr))};
        return *this;
    }

    /// Cancels the fiber and waits for its end. May suspend; cannot be cancelled itself. If the fiber failed with an exception
    /// that nobody has joined, a line on stderr says so. A fiber that destroys its own handle, for example by removing itself
    /// from a table of fibers, aborts the program: detach() it first.
    ~fiber() {
        if (state_)
            detail::abandon_fiber(*state_);
    }

    /// There is a fiber that has been neither joined nor detached.
    [[nodiscard]] bool joinable() const noexcept { return state_ != nullptr; }

    /// Waits for the end of the fiber and takes its result: returns the value, or rethrows what ended it
    /// (coir::cancelled if that was cancellation). Afterwards joinable() is false.
    ///
    /// May suspend. A fiber that has not started runs now, before others that are ready. When `until` passes first:
    /// std::system_error with std::errc::timed_out, and the fiber remains joinable; likewise coir::cancelled when the
    /// *calling* fiber is cancelled meanwhile. Throws std::logic_error if not joinable, on joining oneself, and outside the
    /// loop of the fiber while the fiber has not ended.
    T join(deadline until = {}) {
        const detail::fiber_base* const joined = state_;
        const bool has_ended = wait(until);
        // Meanwhile another fiber may have joined it, and even put a new one into the handle.
        if (!state_ || state_ != joined || state_->finished != has_ended)
            detail::throw_not_joinable();
        if (!has_ended)
            detail::throw_join_timed_out(*state_);
        const std::unique_ptr<detail::fiber_result<T>> ended{std::exchange(state_, nullptr)};
        if (ended->failure)
            detail::rethrow_failure(*ended);
        return ended->take();
    }

    /// Waits for the end of the fiber and leaves its result where it is; false if `until` came first. May suspend.
    /// Throws coir::cancelled, and std::logic_error as join() does.
    bool wait(deadline until = {}) {
        if (!state_)
            detail::throw_not_joinable();
        if (state_->finished)
            return true;
        detail::wait_record record{detail::wait_kind::join, state_};
        detail::park_until_end(record, *state_, until);
        return record.plainly_notified() || detail::end_join(record);
    }

    /// Asks the fiber to end: the blocking call it is in, or the next one, throws coir::cancelled, and so does every
    /// further one (with a std::error_code argument it reports std::errc::operation_canceled instead). Returns at once.
    /// What a call has already done is not lost: bytes that were read are delivered first.
    void cancel() noexcept {
        if (state_)
            detail::cancel_fiber(*state_);
    }

    /// Lets the fiber run on without an owner, to its end or the end of the loop. An exception that then leaves its
    /// function terminates the program, with the fiber's name, and the throw site still on the stack.
    void detach() {
        if (!state_)
            detail::throw_not_joinable();
        detail::detach_fiber(*std::exchange(state_, nullptr));
    }

    /// 0 if empty.
    [[nodiscard]] fiber_id id() const noexcept { return state_ ? state_->id : 0; }

    /// Empty for a fiber without a name. Valid until the handle is joined, detached or destroyed.
    [[nodiscard]] std::string_view name() const noexcept {
        return state_ && state_->name ? std::string_view{state_->name.get()} : std::string_view{};
    }

private:
    friend detail::fiber_access;
    template <class Result> friend detail::end_case ended(fiber<Result>& which) noexcept;
    template <class Function>
        requires(std::invocable<std::decay_t<Function>>)
    friend auto spawn(const fiber_options& options, Function&& function)
        -> fiber<std::invoke_result_t<std::decay_t<Function>>>;

    explicit fiber(detail::fiber_result<T>* state) noexcept : state_(state) {}

    detail::fiber_result<T>* state_ = nullptr;
};

/// A case for select(), ready when `which` has ended, so that join() will not wait. select() throws std::logic_error as join()
/// does.
template <class Result> [[nodiscard]] detail::end_case ended(fiber<Result>& which) noexcept {
    return detail::end_case{which.state_};
}

/// Makes a fiber that calls `function()`, copied or moved as std::thread does, and returns its owner.
///
/// Does not suspend: the new fiber is put at the end of the ready queue and starts when its turn comes, or when somebody joins
/// it. Only inside coir::run; the fiber stays on the calling thread. Floating-point control words are inherited. Errors, with
/// nothing started: std::system_error when memory or mappings for a stack are exhausted (it names the limit),
/// std::invalid_argument for a stack below minimum_stack_size, std::logic_error outside coir::run.
template <class Function>
    requires(std::invocable<std::decay_t<Function>>)
auto spawn(const fiber_options& options, Function&& function) -> fiber<std::invoke_result_t<std::decay_t<Function>>> {
    using result = std::invoke_result_t<std::decay_t<Function>>;
    using task = detail::fiber_task<result, std::decay_t<Function>>;
    auto* const made = new task(std::forward<Function>(function));
    std::unique_ptr<detail::fiber_base> fresh{made};
    fresh->site = options.site;
    detail::spawn_fiber(*fresh, {options.name, options.stack_size});
    static_cast<void>(fresh.release());
    return fiber<result>{made};
}

namespace detail {

/// `function(arguments...)` as a function without arguments, which owns copies.
template <class Function, class... Arguments> auto bind(Function&& function, Arguments&&... arguments) {
    if constexpr (sizeof...(Arguments) == 0) {
        return std::decay_t<Function>(std::forward<Function>(function));
    } else {
        using result = std::invoke_result_t<std::decay_t<Function>, std::decay_t<Arguments>...>;
        return [function = std::decay_t<Function>(std::forward<Function>(function)),
                ... arguments = std::decay_t<Arguments>(std::forward<Arguments>(arguments))]() mutable -> result {
            return std::invoke(std::move(function), std::move(arguments)...);
        };
    }
}

} // namespace detail

/// As above, for `function(arguments...)`: the arguments are copied or moved, too; std::ref() passes a reference.
template <class Function, class First, class... Arguments>
    requires(std::invocable<std::decay_t<Function>, std::decay_t<First>, std::decay_t<Arguments>...>)
auto spawn(const fiber_options& options, Function&& function, First&& first, Arguments&&... arguments) {
    return spawn(options, detail::bind(std::forward<Function>(function), std::forward<First>(first),
                                       std::forward<Arguments>(arguments)...));
}

/// As above, with default options. `site` is the line of the call; callers should not pass it.
template <class Function>
    requires(std::invocable<std::decay_t<Function>>)
auto spawn(Function&& function, spawn_site site = spawn_site::current()) {
    return spawn(fiber_options{.site = site}, std::forward<Function>(function));
}

// A default argument cannot follow a pack, and only a default argument knows the caller's line: hence one overload for each
// number of arguments. With four arguments or more the line is known only if it comes in fiber_options.

template <class Function, class A>
    requires(std::invocable<std::decay_t<Function>, std::decay_t<A>>)
auto spawn(Function&& function, A&& a, spawn_site site = spawn_site::current()) {
    return spawn(fiber_options{.site = site}, std::forward<Function>(function), std::forward<A>(a));
}

template <class Function, class A, class B>
    requires(std::invocable<std::decay_t<Function>, std::decay_t<A>, std::decay_t<B>>)
auto spawn(Function&& function, A&& a, B&& b, spawn_site site = spawn_site::current()) {
    return spawn(fiber_options{.site = site}, std::forward<Function>(function), std::forward<A>(a), std::forward<B>(b));
}

template <class Function, class A, class B, class C>
    requires(std::invocable<std::decay_t<Function>, std::decay_t<A>, std::decay_t<B>, std::decay_t<C>>)
auto spawn(Function&& function, A&& a, B&& b, C&& c, spawn_site site = spawn_site::current()) {
    return spawn(fiber_options{.site = site}, std::forward<Function>(function), std::forward<A>(a), std::forward<B>(b),
                 std::forward<C>(c));
}

template <class Function, class A, class B, class C, class D, class... More>
    requires(std::invocable<std::decay_t<Function>, std::decay_t<A>, std::decay_t<B>, std::decay_t<C>, std::decay_t<D>,
                            std::decay_t<More>...>)
auto spawn(Function&& function, A&& a, B&& b, C&& c, D&& d, More&&... more) {
    return spawn(fiber_options{.site = {}}, std::forward<Function>(function), std::forward<A>(a), std::forward<B>(b),
                 std::forward<C>(c), std::forward<D>(d), std::forward<More>(more)...);
}

} // namespace coir
