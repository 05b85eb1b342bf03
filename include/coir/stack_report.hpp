#pragma once

#include <coir/export.hpp>
#include <coir/spawn_site.hpp>

#include <cstddef>
#include <vector>

namespace coir {

/// How deep the stacks of the fibers spawned at one place have been.
struct stack_usage {
    spawn_site site;               ///< a copy that lives for ever, also when the plugin that spawned them is unloaded
    std::size_t stack_bytes = 0;   ///< of each of these stacks, a whole number of pages
    std::size_t fibers = 0;        ///< so many were measured
    std::size_t largest_pages = 0; ///< the deepest one, in pages: counted from the upper end to the last page touched
    std::size_t percentile_99_pages = 0; ///< 99 of 100 were no deeper
    /// The fiber_options::stack_size that would do: a third more than the deepest, and room for a signal handler.
    std::size_t sufficient_size = 0;
};

/// How much stack the fibers of the calling thread's loop need, one entry for each line that spawns, deepest first: those
/// that exist, and, if loop_options::measure_stacks is set, those that have ended.
///
/// The kernel is asked which pages are in memory (`mincore`), so a fiber pays nothing while it runs; but of a fiber that
/// exists without measure_stacks the use may be that of an earlier one on the same stack, and not what it has given back by
/// this_fiber::trim_stack(). What the kernel has swapped out is
/// not seen. Does not suspend. Throws std::logic_error outside coir::run.
///
/// The environment variable `COIR_STACK_REPORT=1` sets measure_stacks in every loop, and prints one report of all of them on
/// stderr when the process exits: when main() returns, or where somebody calls exit(), be it a fiber. Of loops that still run
/// on other threads then it has the fibers that have ended. A child of fork() counts from the beginning.
///
///     coir::run(serve, {.measure_stacks = true});     // and there, now and then:
///     for (const coir::stack_usage& each : coir::stack_report())
///         std::cout << each.site.file << ':' << each.site.line << ": " << each.largest_pages << " pages\n";
[[nodiscard]] COIR_EXPORT std::vector<stack_usage> stack_report();

} // namespace coir
