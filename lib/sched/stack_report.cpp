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
    fibers_.for_each([&](const fiber_base& fiber) {
        if (fiber.stack)
            all.count(fiber);
    });
    return all;
}

} // namespace detail
} // namespace coir
