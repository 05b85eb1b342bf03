#include <coir/this_fiber.hpp>

#include "sched/loop.hpp"
#include "sched/stack_statistics.hpp"
#include "stack/stack_memory.hpp"

namespace coir::this_fiber {

using detail::loop;

namespace {

// False: cancelled.
bool sleep(loop& here, deadline until) {
    detail::wait_record record{detail::wait_kind::sleep, nullptr};
    if (until <= deadline::passed() && !detail::cancellation_due(here.running())) {
        here.yield();
        return true;
    }
    return here.wait(record, until) != detail::wake_reason::cancelled;
}

// Out of line, so that yield() calls nothing that returns to it: then it saves no registers.
[[gnu::noinline, gnu::cold]] void yield_cancelled(loop& here) {
    if (here.refuses())
        detail::throw_cancelled(here.running(), "this_fiber::yield");
    return here.yield();
}

} // namespace

void yield() {
    loop& here = loop::of_running_fiber("this_fiber::yield()");
    if (here.running().cancel_requested) [[unlikely]]
        return yield_cancelled(here);
    return here.yield(); // a tail call, as is the switch in it: nothing of ours is left on the stack to return through
}

void sleep_until(deadline until) {
    loop& here = loop::of_running_fiber("this_fiber::sleep_until()");
    if (!sleep(here, until))
        detail::throw_cancelled(here.running(), "this_fiber::sleep_until");
}

void sleep_until(deadline until, std::error_code& error) noexcept {
    loop* here = loop::current_with_running_fiber();
    if (!here) {
        error = std::make_error_code(std::errc::operation_not_permitted);
        return;
    }
    const bool slept = sleep(*here, until);
    error = slept ? std::error_code{} : std::make_error_code(std::errc::operation_canceled);
}

fiber_id id() {
    return loop::of_running_fiber("this_fiber::id()").running().id;
}

std::string_view name() {
    const auto& name = loop::of_running_fiber("this_fiber::name()").running().name;
    return name ? std::string_view{name.get()} : std::string_view{};
}

bool cancel_requested() {
    return loop::of_running_fiber("this_fiber::cancel_requested()").running().cancel_requested;
}

void trim_stack() {
    const loop& here = loop::of_running_fiber("this_fiber::trim_stack()");
    detail::fiber_base& self = here.running();
    if (here.measures_stacks())
        detail::remember_depth(self);
    detail::release_below_caller(self.stack, self.stacks->geometry().bytes);
}

} // namespace coir::this_fiber
