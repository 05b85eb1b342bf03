#pragma once

#include <coir/detail/intrusive_list.hpp>
#include <coir/detail/scope_state.hpp>
#include <coir/detail/wait_record.hpp>
#include <coir/export.hpp>

#include <cstddef>
#include <exception>
#include <vector>

namespace coir::detail {

struct spawn_parameters;

/// What a task_group consists of. Belongs to the thread of the loop.
struct COIR_EXPORT task_group_state {
    /// Enters the scope.
    task_group_state();
    ~task_group_state();

    scope_state scope;                           ///< around the members, and around what comes after it in the opener
    intrusive_list<group_member> members;        ///< that have not ended
    std::size_t running = 0;                     ///< length of `members`
    intrusive_list<wait_record> waiting_for_end; ///< until `running` is 0
    intrusive_list<wait_record> waiting_for_place;
    std::vector<std::exception_ptr> failures; ///< of members, in order
    std::exception_ptr first_failure;         ///< failures.front(): for scope.failure
    int exceptions_at_start;                  ///< std::uncaught_exceptions()
    bool failure_thrown = false;              ///< by join()
};

/// Suspends while `most` members or more are running. Throws cancelled, or the failure of the group.
COIR_EXPORT void await_place(task_group_state& group, std::size_t most);
/// Suspends until no member is running, and throws what join() throws.
COIR_EXPORT void join_group(task_group_state& group);
/// What the destructor does, but for leaving the scope.
COIR_EXPORT void close_group(task_group_state& group);

/// Spawns `fiber`, whose function `member` is, detached. Strong guarantee.
COIR_EXPORT void add_member(task_group_state& group, group_member& member, fiber_base& fiber,
                            const spawn_parameters& parameters);
/// `member` will run no more code of the user's. `failure`, or null, is what its function ended by.
COIR_EXPORT void remove_member(task_group_state& group, group_member& member, std::exception_ptr failure) noexcept;

} // namespace coir::detail
