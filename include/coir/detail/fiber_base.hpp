#pragma once

#include <coir/deadline.hpp>
#include <coir/detail/execution.hpp>
#include <coir/detail/floating_point_control.hpp>
#include <coir/detail/intrusive_list.hpp>
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

/// A fiber as the scheduler sees it. fiber_task adds the function and the result. All fields belong to the thread of
/// the fiber's loop.
struct COIR_EXPORT fiber_base : execution, list_node {
    fiber_base() = default;
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

    loop* owner = nullptr;                   ///< set by spawn
    stack_pool* stacks = nullptr;            ///< where its stack comes from and goes to
    std::byte* stack = nullptr;              ///< lowest usable byte; null until it first runs
    wait_record* waiting = nullptr;          ///< on its own stack while it is parked; set by park(), cleared by wake()
    intrusive_list<wait_record> joiners;     ///< who waits for its end
    std::exception_ptr failure;              ///< what the function threw; for join()
    std::uint64_t id = 0;                    ///< unique in the process
    std::unique_ptr<char[]> name;            ///< null without a name
    spawn_site site;                         ///< who spawned it
    floating_point_control control_words;    ///< of the creator
    bool finished = false;                   ///< the function has ended, its result or failure is there
    bool has_handle = true;                  ///< a fiber<T> refers to it: it must outlive its end
    bool cancel_requested = false;           ///< sticky
    unsigned char cancellation_disabled = 0; ///< depth of scopes in which blocking calls ignore cancel_requested
    int saved_errno = 0;                     ///< its errno while it is not running (hazard D2)
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
/// The handle gives up `fiber`: it is freed now or at its end.
COIR_EXPORT void detach_fiber(fiber_base& fiber) noexcept;
/// What the destructor of a handle does: cancels, waits, reports a failure that nobody asked for, frees.
COIR_EXPORT void abandon_fiber(fiber_base& fiber) noexcept;
[[noreturn]] COIR_EXPORT void throw_join_timed_out(const fiber_base& fiber);
[[noreturn]] COIR_EXPORT void throw_not_joinable();

} // namespace coir::detail
