#include <coir/run.hpp>

#include "sched/loop.hpp"

namespace coir::detail {

void run_loop(fiber_base& main, const loop_options& options) {
    const auto driver = make_default_driver();
    run_loop_on(*driver, main, options);
}

void run_loop_on(loop_driver& driver, fiber_base& main, const loop_options& options) {
    loop here{driver, options};
    here.run(main);
}

} // namespace coir::detail
