#include <coir/run.hpp>

#include "base/process_end.hpp"
#include "base/thread_end.hpp"
#include "sched/describe.hpp"
#include "sched/loop.hpp"
#include "sched/stacks_at_exit.hpp"
#include "sched/stall_watch.hpp"

#include <coir/overflow_report.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>

namespace coir::detail {
namespace {

// For a thread_end_guard.
void describe_loss(const void* what, bounded_text& text) noexcept {
    const loop& here = *static_cast<const loop*>(what);
    text << "coir::run(), ";
    if (const fiber_base* const running = here.running_now()) {
        text << "in ";
        fibers_as_owners.name(running, text);
    } else {
        text << "while no fiber runs";
    }
    text << "; fibers that would be lost: " << std::uint64_t{here.fiber_count()};
}

} // namespace

void run_loop(fiber_base& main, const loop_options& options) {
    auto driver = make_default_driver();
    if (!run_loop_on(*driver, main, options))
        static_cast<void>(driver.release());
}

bool run_loop_on(loop_driver& driver, fiber_base& main, const loop_options& options) {
    std::optional<overflow_report> reports;
    if (options.report_overflow)
        reports.emplace();
    expect_process_end();
    auto here = std::make_unique<loop>(driver, options);
    std::optional<stall_watch> stalls;
    if (options.stall_limit > std::chrono::nanoseconds::zero())
        stalls.emplace(*here, options.stall_limit);
    thread_end_guard must_return{here.get(), describe_loss};
    here->run(main);
    must_return.dismiss();
    if (!here->is_abandoned())
        return true;
    // Fibers that have been given up are still in it, and other threads may still wake them.
    stacks_at_exit::count_in_use(*here);
    static_cast<void>(here.release());
    return false;
}

} // namespace coir::detail
