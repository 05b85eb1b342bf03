#pragma once

#include <coir/detail/intrusive_list.hpp>
#include <coir/detail/scope_state.hpp>
#include <coir/detail/wait_record.hpp>
#include <coir/export.hpp>

#include <cstddef>
#include <exception>
#include <vector>

namespace coir::detail {

struct fiber_base;
struct spawn_parameters;

/// A fiber that belongs to a task group: part of its closure.
struct group_member : list_node {
    fiber_base* fiber = nullptr;            ///< as long as it is one
    group_member* next_to_update = nullptr; ///< in cancellation.cpp, while a cancellation spreads
};

/// The state of a task_group. Belongs to the thread of the loop.
struct COIR_EXPORT task_group_state {
    /// Enters the scope.
    task_group_state();
    ~task_group_state();

    scope_state scope;                    ///< around the members, and around what comes after it in the opener
    intrusive_list<group_member> members; ///< that have not ended
    std::size_t running = 0;              ///< length of `members`
    std::size_t promised = 0;             ///< group_places
    std::size_t most = static_cast<std::size_t>(-1); ///< of both; as spawn() was told last
    intrusive_list<wait_record> waiting_for_end;     ///< until `running` is 0
    intrusive_list<wait_record> waiting_for_place;   ///< first come, first served
    std::size_t members_waiting = 0;                 ///< of `members`, for a place
    std::vector<std::exception_ptr> failures;        ///< of members, in order
    std::size_t failures_thrown = 0;                 ///< of those: by join()
    bool failure_was_thrown = false;                 ///< the first, by join() or another blocking call
    bool ignores_those_not_begun = false;            ///< for which there was no stack: they are no failures
    int exceptions_at_start;                         ///< std::uncaught_exceptions()
};

/// The right to start one member: it counts as a running member until it is used or given up.
class COIR_EXPORT group_place {
public:
    /// Suspends while `most` or more members are running, or others are waiting for a place. Throws cancelled, or the failure
    /// of the group; std::errc::resource_deadlock_would_occur if all who could give up a place wait here.
    group_place(task_group_state& group, std::size_t most);
    ~group_place();
    group_place(const group_place&) = delete;
    group_place& operator=(const group_place&) = delete;

private:
    task_group_state& group_;
};

/// Spawns `fiber`, whose function `member` is, detached. Strong guarantee.
COIR_EXPORT void add_member(task_group_state& group, group_member& member, fiber_base& fiber,
                            const spawn_parameters& parameters);
/// `member` will run no more user code. `failure`, or null, is the exception that ended its function.
COIR_EXPORT void remove_member(task_group_state& group, group_member& member,
                               const std::exception_ptr& failure) noexcept;

/// Suspends until no member is running, and throws what join() throws.
COIR_EXPORT void join_group(task_group_state& group);
/// The destructor's work, except for leaving the scope.
COIR_EXPORT void close_group(task_group_state& group);

} // namespace coir::detail
