#pragma once

#include "sched/cancellation.hpp"

#include <coir/fiber.hpp>

#include <string_view>
#include <utility>

namespace coir::detail {

struct fiber_access {
    template <class T> [[nodiscard]] static fiber_base& state(const fiber<T>& of) noexcept { return *of.state_; }
};

/// Spawns a fiber that does a part of a blocking call of the running fiber, which cancels it when it is cancelled itself. The
/// end of the loop does not: the running fiber may be in a shield.
template <class Function> fiber<void> spawn_helper(std::string_view name, Function&& function) {
    fiber<void> made = spawn(fiber_options{.name = name}, std::forward<Function>(function));
    fiber_base& state = fiber_access::state(made);
    state.is_helper = true;
    state.cancel_called = false; // the loop may be shutting down
    update_cancellation(state);
    return made;
}

} // namespace coir::detail
