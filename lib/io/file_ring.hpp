#pragma once

#include "io/file_operation.hpp"
#include "sched/loop.hpp"

#include <coir/deadline.hpp>

#include <memory>

struct ev_loop;

namespace coir::detail {

/// Carries out operations on files for the fibers of one loop without threads of ours: io_uring.
class file_ring {
public:
    /// Null where the kernel does not allow it, knows too little, or has no room; where the environment says COIR_FILES=threads;
    /// and in a coir that was built without liburing. `events` tells of completions.
    [[nodiscard]] static std::unique_ptr<file_ring> make(struct ev_loop* events) noexcept;

    file_ring() = default;
    file_ring(const file_ring&) = delete;
    file_ring& operator=(const file_ring&) = delete;
    virtual ~file_ring() = default;

    [[nodiscard]] virtual bool knows(file_operation::call what) const noexcept = 0;

    /// Waits until `operation` has been carried out: 0, and its result. Or ETIMEDOUT, was_cancelled: it has not been.
    virtual int carry_out(loop& here, file_operation& operation, deadline until) noexcept = 0;

    /// Hands over what has been asked for since the last time. Must be called right before ev_run(). True: do not wait, something
    /// has ended already.
    [[nodiscard]] virtual bool submit() noexcept = 0;

    /// No event will tell when there is more to do, so the loop has to look again soon: the kernel lacks memory just now.
    [[nodiscard]] virtual bool is_stuck() const noexcept = 0;

    /// In the child of a fork() that the thread of the loop is not in: gives up what it shares with the parent. (Where the
    /// thread goes on, the ring is destroyed instead, which does no more than that.)
    virtual void abandon_in_child() noexcept = 0;
};

} // namespace coir::detail
