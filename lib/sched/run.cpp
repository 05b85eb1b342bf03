#include <coir/run.hpp>

#include "sched/loop.hpp"

#include <memory>

namespace coir::detail {

void run_loop(fiber_base& main, const loop_options& options) {
    auto driver = make_default_driver();
    if (!run_loop_on(*driver, main, options))
        static_cast<void>(driver.release());
}

bool run_loop_on(loop_driver& driver, fiber_base& main, const loop_options& options) {
    auto here = std::make_unique<loop>(driver, options);
    here->run(main);
    if (!here->is_abandoned())
        return true;
    // Fibers that have been given up are still in it, and other threads may still wake them.
    static_cast<void>(here.release());
    return false;
}

} // namespace coir::detail
