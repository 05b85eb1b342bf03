#pragma once

#include <coir/cancelled.hpp>
#include <coir/detail/fiber_task.hpp>
#include <coir/detail/single_use.hpp>
#include <coir/detail/task_group_state.hpp>
#include <coir/fiber.hpp>

#include <exception>
#include <memory>
#include <utility>

namespace coir::detail {

/// The function of a task group member. It leaves the group when the user's function has ended *and* has been destroyed, since
/// its destructor may use the opener's variables, too.
template <class Work> class group_task : public group_member {
public:
    template <class Value>
    group_task(task_group_state& group, Value&& work) : group_(group), work_(std::forward<Value>(work)) {}

    ~group_task() {
        if (!fiber)
            return;
        work_.reset(); // it was never called, because the fiber did not get a stack
        remove_member(group_, *this, fiber->failure);
    }

    void operator()() {
        std::exception_ptr failure;
        try {
            // Destroyed while an exception unwinds the stack, as local variables are: its destructor may block.
            const typename single_use<Work>::call now{work_};
            now.function()();
        } catch (const cancelled&) { // not a failure
        } catch (...) {
            failure = std::current_exception();
            if (!failure)
                throw; // pthread_exit(): it is reported further out
        }
        remove_member(group_, *this, failure);
    }

private:
    task_group_state& group_;
    single_use<Work> work_;
};

/// Starts a fiber that calls `work()`, as a member of `group`.
template <class Work> void spawn_member(task_group_state& group, const fiber_options& options, Work work) {
    using task = fiber_task<void, group_task<Work>>;
    auto* const made = new task(group, std::move(work));
    std::unique_ptr<fiber_base> fresh{made};
    fresh->site = options.site;
    add_member(group, *made->work, *fresh, {options.name, options.stack_size});
    static_cast<void>(fresh.release()); // its own owner
}

} // namespace coir::detail
