#include <coir/run.hpp>

#include "sched/loop.hpp"
#include "sched/stack_statistics.hpp"

#include <coir/overflow_report.hpp>

#include <memory>
#include <optional>

namespace coir::detail {

void run_loop(fiber_base& main, const loop_options& options) {
    auto driver = make_default_driver();
    if (!run_loop_on(*driver, main, options))
        static_cast<void>(driver.release());
}

bool run_loop_on(loop_driver& driver, fiber_base& main, const loop_options& options) {
    std::optional<overflow_report> reports;
    if (options.report_overflow)
        reports.emplace();
    auto here = std::make_unique<loop>(driver, options);
    here->run(main);
    if (stack_report_is_wanted())
        print(here->measured_stacks().report());
    if (!here->is_abandoned())
        return true;
    // Fibers that have been given up are still in it, and other threads may still wake them.
    static_cast<void>(here.release());
    return false;
}

} // namespace coir::detail
