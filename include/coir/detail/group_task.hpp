#pragma once

#include <coir/cancelled.hpp>
#include <coir/detail/fiber_task.hpp>
#include <coir/detail/task_group_state.hpp>
#include <coir/fiber.hpp>

#include <exception>
#include <memory>
#include <optional>
#include <utility>

namespace coir::detail {

/// The function of a member of a task group. Takes itself out of the group when the user's function has ended *and* has been
/// destroyed: its destructor may use the opener's variables, too.
template <class Work> class group_task : public group_member {
public:
    template <class Value>
    group_task(task_group_state& group, Value&& work) : group_(group), work_(std::forward<Value>(work)) {}

    ~group_task() {
        if (fiber) // a member that was never called: the fiber did not get a stack
            leave(fiber->failure);
    }

    void operator()() {
        std::exception_ptr failure;
        try {
            std::invoke(std::move(*work_));
        } catch (const cancelled&) { // is no failure
        } catch (...) {
            failure = std::current_exception();
        }
        leave(std::move(failure));
    }

private:
    void leave(std::exception_ptr failure) noexcept {
        work_.reset();
        fiber = nullptr;
        remove_member(group_, *this, std::move(failure));
    }

    task_group_state& group_;
    std::optional<Work> work_;
};

/// Starts a fiber that calls `work()`, as a member of `group`.
template <class Work> void spawn_member(task_group_state& group, const fiber_options& options, Work work) {
    using task = fiber_task<void, group_task<Work>>;
    auto fresh = std::make_unique<task>(group, std::move(work));
    add_member(group, *fresh->work, *fresh, {options.name, options.stack_size});
    static_cast<void>(fresh.release()); // its own owner
}

} // namespace coir::detail
