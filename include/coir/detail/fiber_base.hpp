#pragma once

#include <coir/deadline.hpp>
#include <coir/detail/execution.hpp>
#include <coir/detail/intrusive_list.hpp>
#include <coir/detail/scope_state.hpp>
#include <coir/detail/wait_record.hpp>
#include <coir/export.hpp>
#include <coir/spawn_site.hpp>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <new>
#include <string_view>

namespace coir::detail {

class loop;
class stack_pool;
struct fiber_storage;

/// The part of a fiber that a waker touches. The first base of fiber_base: so it lies beside the part of the execution that the
/// switch touches, in 32 bytes that are nearly always one cache line.
struct waiter {
    wait_record* waiting = nullptr; ///< on its own stack while it is parked; set by park(), cleared by wake()
};

/// A fiber as the scheduler sees it. fiber_task adds the function and the result. All fields belong to the thread of
/// the fiber's loop.
struct COIR_EXPORT fiber_base : waiter, execution, list_node {
    fiber_base() noexcept;
    virtual ~fiber_base();

    /// From blocks that the loop keeps.
    static void* operator new(std::size_t size);
    static void operator delete(void* block, std::size_t size) noexcept;
    /// For functions that capture something with more than the usual alignment.
    static void* operator new(std::size_t size, std::align_val_t alignment);
    static void operator delete(void* block, std::size_t size, std::align_val_t alignment) noexcept;

    /// Runs the function, on the fiber's own stack, and keeps its result.
    virtual void call() = 0;
    /// Destroys the result, which nobody will fetch.
    virtual void discard_result() noexcept = 0;
    /// The fiber will never run again: notifies those who wait for it by other means than a join. In the child of a fork() none
    /// of these runs.
    virtual void give_up(bool in_child) noexcept = 0;

    loop* owner = nullptr;                  ///< set by spawn
    stack_pool* stacks = nullptr;           ///< where its stack comes from and goes to
    std::byte* stack = nullptr;             ///< lowest usable byte; null until it first runs
    scope_state* scope = nullptr;           ///< the innermost it is in; a task group's is its opener's
    intrusive_list<wait_record> joiners;    ///< who waits for its end
    std::exception_ptr failure;             ///< what the function threw; for join()
    std::uint64_t id = 0;                   ///< unique in the process
    std::unique_ptr<char[]> name;           ///< null without a name
    std::unique_ptr<fiber_storage> storage; ///< fiber_locals, context; null for most
    [[no_unique_address]] spawn_site site;  ///< who spawned it
    bool finished : 1 = false;              ///< the function has ended, its result or failure is there
    bool has_handle : 1 = true;             ///< a fiber<T> refers to it: it must outlive its end
    bool is_helper : 1 = false;             ///< cancelled by the one it works for only: see spawn_helper()
    bool cancel_called : 1 = false;         ///< as a whole, for good; `cancel_requested` is what comes of all scopes
    bool cancel_thrown : 1 = false;         ///< by a blocking call, for a cancellation that still holds
    std::uint8_t cancel_told : 7 = 0;       ///< how often by error codes since, in succession
    bool swallow_reported : 1 = false;      ///< that it does not pass coir::cancelled on
    bool cycle_reported : 1 = false;        ///< that it is one of several that wait for each other
};

/// How a fiber is made: the library's side of fiber_options.
struct spawn_parameters {
    std::string_view name;
    std::size_t stack_size;
};

/// Hands `fiber` over to the calling thread's loop. Strong guarantee: on an exception nothing has happened.
COIR_EXPORT void spawn_fiber(fiber_base& fiber, const spawn_parameters& parameters);
/// Parks with `record` until `fiber` has ended, or `until`. The switch is the last thing it does: see loop::park().
COIR_EXPORT void park_until_end(wait_record& record, fiber_base& fiber, deadline until);
/// Ends the wait that park_until_end() began; true if the fiber has ended. Throws cancelled.
COIR_EXPORT bool end_join(wait_record& record);
COIR_EXPORT void cancel_fiber(fiber_base& fiber) noexcept;
/// The handle releases `fiber`: it is freed now or at its end.
COIR_EXPORT void detach_fiber(fiber_base& fiber) noexcept;
/// The destructor of a handle: cancels, waits, reports a failure that nobody asked for, frees.
COIR_EXPORT void abandon_fiber(fiber_base& fiber) noexcept;
/// Rethrows what the function of `ended` has thrown.
[[noreturn]] COIR_EXPORT void rethrow_failure(fiber_base& ended);
[[noreturn]] COIR_EXPORT void throw_join_timed_out(const fiber_base& fiber);
[[noreturn]] COIR_EXPORT void throw_not_joinable();

} // namespace coir::detail
