#pragma once

#include <coir/detail/group_task.hpp>
#include <coir/detail/task_group_state.hpp>
#include <coir/exception_group.hpp>
#include <coir/export.hpp>
#include <coir/fiber.hpp>

#include <concepts>
#include <cstddef>
#include <type_traits>
#include <utility>

namespace coir {

/// Fibers that end together: all fibers spawned into a group have ended when its scope is left, however that happens. So they
/// may use the local variables of the function that opened it.
///
///     std::vector<page> pages(addresses.size());
///     {
///         coir::task_group group{.max_concurrent = 8};
///         for (std::size_t i = 0; i < addresses.size(); ++i)
///             group.spawn([&, i] { pages[i] = fetch(addresses[i]); });
///     }                                           // all pages are there, or the first failure is thrown
///
/// **Failure.** The first exception that leaves a member cancels the others. It is rethrown by join(), or at the end of the
/// scope. Until then, every blocking call of the fiber that opened the group throws it, too (with a std::error_code argument:
/// reports std::errc::operation_canceled), so that it is noticed at once, not only when the call would have returned. Further
/// failures are carried along: exception_group::current(). A member that ends by coir::cancelled has not failed.
///
/// **Leaving the scope** waits for the members. If an exception leaves it, they are cancelled first, and that exception
/// propagates.
///
/// **Cancellation** of the fiber that opened the group, or of a scope around it, reaches the members. Groups nest.
///
/// Threads: belongs to the loop, and is a local variable of the fiber that opened it. Members may spawn further members.
struct COIR_EXPORT task_group {
    /// How many members may run at the same time: spawn() waits while there are this many. A member that waits there keeps its
    /// own place. So if members spawn into their own group, leave this unlimited, and limit the expensive part with a
    /// counting_semaphore.
    std::size_t max_concurrent = static_cast<std::size_t>(-1);

    /// Not for users.
    detail::task_group_state state{};

    /// Waits for all members; may suspend. Cannot be interrupted: cancellation of the fiber reaches the members as well. Throws
    /// the first failure of a member, unless an exception is leaving the scope already.
    ~task_group() noexcept(false) { detail::close_group(state); }

    /// Starts a member that calls `function(arguments...)`, as coir::spawn() does. Waits while there are max_concurrent others.
    /// Throws what spawn() throws, coir::cancelled, and the group's failure; if all other members, and the opener, wait for the
    /// group as well, without any deadline, the last member gets std::system_error with
    /// std::errc::resource_deadlock_would_occur.
    template <class Function>
        requires(std::invocable<std::decay_t<Function>>)
    void spawn(Function&& function, spawn_site site = spawn_site::current()) {
        spawn(fiber_options{.site = site}, std::forward<Function>(function));
    }
    template <class Function, class First, class... Arguments>
        requires(std::invocable<std::decay_t<Function>, std::decay_t<First>, std::decay_t<Arguments>...>)
    void spawn(Function&& function, First&& first, Arguments&&... arguments) {
        spawn(fiber_options{}, std::forward<Function>(function), std::forward<First>(first),
              std::forward<Arguments>(arguments)...);
    }

    /// As above, with a name or another stack size.
    template <class Function, class... Arguments>
        requires(std::invocable<std::decay_t<Function>, std::decay_t<Arguments>...>)
    void spawn(const fiber_options& options, Function&& function, Arguments&&... arguments) {
        const detail::group_place place{state, max_concurrent};
        detail::spawn_member(state, options,
                             detail::bind(std::forward<Function>(function), std::forward<Arguments>(arguments)...));
    }

    /// Waits until all members have ended. Then throws the first failure, if there is one; else coir::cancelled, if the calling
    /// fiber has been cancelled from further out. Cancellation by the group's own cancel() ends here. The group can be used
    /// again after it has returned.
    ///
    /// A scope inside the group's, such as with_timeout() around this call, ends only the waiting: it throws coir::cancelled,
    /// and the members continue. (Members that have been cancelled as well are awaited.) This gives them some time to end by
    /// themselves:
    ///
    ///     if (!coir::try_with_timeout(10s, [&] { group.join(); })) {
    ///         group.cancel();
    ///         group.join();
    ///     }
    void join() { detail::join_group(state); }

    /// Cancels all members, and blocking calls of the fiber that opened the group: until join() has returned, or the scope is
    /// left. Returns at once. Only join() treats that as an orderly end: any other blocking call of the opener, including a
    /// spawn() that has to wait, throws coir::cancelled out of the group (so if members cancel it, spawn them all without a
    /// limit before join(), or do so inside a cancel_scope::run()). So the first answer wins:
    ///
    ///     std::optional<page> first;
    ///     coir::task_group group;
    ///     for (const auto& mirror : mirrors)
    ///         group.spawn([&] { page found = fetch(mirror); if (!first) { first = std::move(found); group.cancel(); } });
    ///     group.join();
    void cancel() noexcept { detail::cancel_scope_state(state.scope); }

    /// The number of members that have not ended.
    [[nodiscard]] std::size_t size() const noexcept { return state.running; }

    /// The failures of members so far.
    [[nodiscard]] exception_group failures() const { return exception_group{state.failures}; }
};

} // namespace coir
