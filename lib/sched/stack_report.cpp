#include <coir/stack_report.hpp>

#include "sched/loop.hpp"
#include "sched/stack_statistics.hpp"

namespace coir {

std::vector<stack_usage> stack_report() {
    return detail::loop::of_running_fiber("stack_report()").measured_stacks().report();
}

namespace detail {

stack_statistics loop::measured_stacks() {
    stack_statistics all = ended_stacks_ ? *ended_stacks_ : stack_statistics{};
    count_stacks_in_use(all);
    return all;
}

void loop::count_stacks_in_use(stack_statistics& statistics) {
    fibers_.for_each([&](const fiber_base& fiber) {
        if (fiber.stack)
            statistics.count(depth_of(fiber));
    });
}

} // namespace detail
} // namespace coir
