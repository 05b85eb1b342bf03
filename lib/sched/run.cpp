#include <coir/run.hpp>

#include "sched/loop.hpp"
#include "sched/stack_statistics.hpp"

#include <coir/overflow_report.hpp>

#include <optional>

namespace coir::detail {

void run_loop(fiber_base& main, const loop_options& options) {
    const auto driver = make_default_driver();
    run_loop_on(*driver, main, options);
}

void run_loop_on(loop_driver& driver, fiber_base& main, const loop_options& options) {
    std::optional<overflow_report> reports;
    if (options.report_overflow)
        reports.emplace();
    loop here{driver, options};
    here.run(main);
    if (stack_report_is_wanted())
        print(here.measured_stacks().report());
}

} // namespace coir::detail
