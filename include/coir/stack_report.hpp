#pragma once

#include <coir/export.hpp>
#include <coir/spawn_site.hpp>

#include <cstddef>
#include <vector>

namespace coir {

/// How deep the stacks of the fibers spawned at one place have been.
struct stack_usage {
    spawn_site site;               ///< a copy that lives for ever, even if the plugin that spawned them is unloaded
    std::size_t stack_bytes = 0;   ///< of each of these stacks, a whole number of pages
    std::size_t fibers = 0;        ///< number measured
    std::size_t largest_pages = 0; ///< the deepest one, in pages: counted from the upper end to the last page touched
    std::size_t percentile_99_pages = 0; ///< 99 of 100 were no deeper
    /// The fiber_options::stack_size that would suffice: the deepest plus a third, and room for a signal handler.
    std::size_t sufficient_size = 0;
};

/// How much stack the fibers of the calling thread's loop need, one entry per spawning line, deepest first. Covers existing
/// fibers and, if loop_options::measure_stacks is set, those that have ended.
///
/// The kernel is asked which pages are in memory (`mincore`), so a fiber pays nothing while it runs. But without
/// measure_stacks, the figure for an existing fiber may include an earlier fiber on the same stack, and lacks what it has given
/// back with this_fiber::trim_stack(). Swapped-out pages are not seen. Does not suspend. Throws std::logic_error outside
/// coir::run.
///
/// The environment variable `COIR_STACK_REPORT=1` sets measure_stacks in every loop, and prints one report of all of them on
/// stderr when the process exits: when main() returns, or when exit() is called, even by a fiber. For loops still running on
/// other threads then, it contains the fibers that have ended. A child of fork() starts counting afresh.
///
///     coir::run(serve, {.measure_stacks = true});     // and there, now and then:
///     for (const coir::stack_usage& each : coir::stack_report())
///         std::cout << each.site.file << ':' << each.site.line << ": " << each.largest_pages << " pages\n";
[[nodiscard]] COIR_EXPORT std::vector<stack_usage> stack_report();

} // namespace coir
