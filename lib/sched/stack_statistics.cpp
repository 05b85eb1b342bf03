#include "sched/stack_statistics.hpp"

#include "base/diagnostic.hpp"
#include "base/lasting_text.hpp"
#include "sched/fiber_storage.hpp"
#include "sched/stacks_at_exit.hpp"
#include "stack/guard.hpp"
#include "stack/signal_frame.hpp"
#include "stack/stack_memory.hpp"
#include "stack/stack_pool.hpp"

#include <coir/stack_size.hpp>

#include <algorithm>
#include <array>
#include <cstdio>
#include <new>

namespace coir::detail {
namespace {

std::size_t sufficient_size(std::size_t pages) {
    const std::size_t bytes = pages * page_size() * 4 / 3 + signal_frame_bytes();
    return std::max(minimum_stack_size, (bytes + page_size() - 1) / page_size() * page_size());
}

// The depth that `share` of the stacks do not exceed.
std::size_t percentile(const std::vector<std::size_t>& counts, std::size_t total, double share) {
    std::size_t seen = 0;
    for (std::size_t pages = 0; pages < counts.size(); ++pages) {
        seen += counts[pages];
        if (static_cast<double>(seen) >= share * static_cast<double>(total))
            return pages;
    }
    return counts.size() - 1;
}

} // namespace

stack_depth depth_of(const fiber_base& fiber) noexcept {
    const std::size_t bytes = fiber.stacks->geometry().bytes;
    const std::size_t pages = pages_in_use(fiber.stack, fiber.stack + bytes);
    return {fiber.site, bytes, fiber.storage ? std::max(pages, fiber.storage->remembered_pages) : pages};
}

void remember_depth(fiber_base& fiber) noexcept {
    try {
        storage_of(fiber).remembered_pages = depth_of(fiber).pages;
    } catch (const std::bad_alloc&) { // then the report has what it will use from now on
    }
}

void stack_statistics::count(const stack_depth& depth) {
    auto found = depths_.find({depth.site.file, depth.site.line, depth.bytes});
    if (found == depths_.end()) {
        // The plugin that has spawned the fiber may be gone when somebody reads the report.
        const std::string_view file = lasting_copy(depth.site.file);
        found = depths_.try_emplace({file, depth.site.line, depth.bytes}).first;
    }
    std::vector<std::size_t>& counts = found->second;
    counts.resize(std::max(counts.size(), depth.pages + 1));
    ++counts[depth.pages];
}

void stack_statistics::count_ended(const fiber_base& fiber) noexcept {
    try {
        const stack_depth depth = depth_of(fiber);
        count(depth);
        if (also_at_exit_)
            stacks_at_exit::count(depth);
    } catch (const std::bad_alloc&) { // then this one is missing in the report
    }
    release_below_caller(fiber.stack, fiber.stacks->geometry().bytes);
}

std::vector<stack_usage> stack_statistics::report() const {
    std::vector<stack_usage> usages;
    for (const auto& [where, counts] : depths_) {
        const auto& [file, line, bytes] = where;
        std::size_t total = 0;
        for (const std::size_t count : counts)
            total += count;
        const std::size_t largest = counts.size() - 1;
        usages.push_back(
            {{file.data(), line}, bytes, total, largest, percentile(counts, total, 0.99), sufficient_size(largest)});
    }
    std::stable_sort(usages.begin(), usages.end(),
                     [](const stack_usage& a, const stack_usage& b) { return a.largest_pages > b.largest_pages; });
    return usages;
}

void print(const std::vector<stack_usage>& report) {
    const auto kibibytes = [](std::size_t bytes) { return bytes / 1024; };
    std::array<char, 512> line;
    detail::report("stacks in KiB, by the line that spawned their fibers");
    std::snprintf(line.data(), line.size(), "%9s %8s %8s %8s %8s  %s", "fibers", "deepest", "99 %", "stack", "enough",
                  "spawned at");
    detail::report(line.data());
    for (const stack_usage& each : report) {
        std::snprintf(line.data(), line.size(), "%9zu %8zu %8zu %8zu %8zu  %s:%u", each.fibers,
                      kibibytes(each.largest_pages * page_size()), kibibytes(each.percentile_99_pages * page_size()),
                      kibibytes(each.stack_bytes), kibibytes(each.sufficient_size),
                      each.site.line != 0 ? each.site.file : "unknown", static_cast<unsigned>(each.site.line));
        detail::report(line.data());
    }
}

} // namespace coir::detail
