#pragma once

#include <coir/detail/fiber_base.hpp>
#include <coir/stack_report.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <string_view>
#include <tuple>
#include <vector>

namespace coir::detail {

/// How deep a stack has been, and whose it was.
struct stack_depth {
    spawn_site site;
    std::size_t bytes; ///< of the stack
    std::size_t pages; ///< touched
};

/// Of `fiber`, which must have a stack, as it is now, or was at remember_depth(). Asks the system.
[[nodiscard]] stack_depth depth_of(const fiber_base& fiber) noexcept;

/// Before memory of the stack of `fiber` goes back: depth_of() will not be less than it is now.
void remember_depth(fiber_base& fiber) noexcept;

/// How deep stacks have been, by the line that spawned their fibers.
class stack_statistics {
public:
    /// `also_at_exit`: the stacks of ended fibers are counted in stacks_at_exit, too.
    explicit stack_statistics(bool also_at_exit = false) noexcept : also_at_exit_(also_at_exit) {}

    void count(const stack_depth& depth);

    /// Counts the running fiber, whose function has ended, and clears its stack for the next one, which would otherwise be
    /// found as deep.
    void count_ended(const fiber_base& fiber) noexcept;

    /// Deepest first.
    [[nodiscard]] std::vector<stack_usage> report() const;

private:
    using key =
        std::tuple<std::string_view, std::uint32_t, std::size_t>; // file (a lasting_copy()), line, bytes of a stack
    std::map<key, std::vector<std::size_t>> depths_;              // number of stacks by their depth in pages
    bool also_at_exit_;
};

/// The report as lines on stderr.
void print(const std::vector<stack_usage>& report);

} // namespace coir::detail
