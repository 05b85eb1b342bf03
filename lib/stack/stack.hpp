#pragma once

#include <cstddef>
#include <cstdint>
#include <new>

namespace coir::detail {

/// Stands right above the top of every stack that is in use, or was and has not been given back to the system.
struct stack_label {
    /// Who runs there. Written by whoever takes the stack; read by the signal handler that reports overflows, which then
    /// runs in the thread that wrote it, and by debuggers.
    const void* owner = nullptr;
    std::uint32_t uses = 0;      ///< how often it has been handed out since it was last without memory
    std::uint32_t next_look = 1; ///< at this use stack_pool looks how deep the uses before went
};
static_assert(sizeof(stack_label) == 16);

/// Memory to run on: grows down from `top` to `bottom`, below which there is a guard.
struct stack {
    std::byte* bottom; ///< at the begin of a page
    std::byte* top;    ///< aligned to 16, where its label is

    [[nodiscard]] std::size_t size() const noexcept { return static_cast<std::size_t>(top - bottom); }
    [[nodiscard]] stack_label& label() const noexcept { return *std::launder(reinterpret_cast<stack_label*>(top)); }
};

/// How stacks of one size lie in memory:
///
///     | guard | stack 0     : label : colour | guard | stack 1    : label : colour | ...     lower addresses to the left
///             bottom        top              end
///
/// - A stack, with all up to its end, is an even number of pages, and a guard an odd number. So neighbouring stacks are an
///   odd number of pages apart, and their tops spread over the sets of the TLB and of the caches that are indexed beyond
///   the page.
/// - Within the last page the tops are shifted against each other by some cache lines, the colour: without that all the
///   suspended frames of a thousand fibers compete for the same few sets of the first-level cache.
struct stack_geometry {
    std::size_t bytes;       ///< of a stack, from its bottom to its end
    std::size_t guard_bytes; ///< below it

    /// For stacks of at least `usable` bytes and guards of at least `guard`. Throws std::invalid_argument, naming the
    /// limit, for stacks below minimum_stack_size, and for what cannot be mapped.
    [[nodiscard]] static stack_geometry of(std::size_t usable, std::size_t guard);

    /// From one bottom to the next.
    [[nodiscard]] std::size_t pitch() const noexcept { return bytes + guard_bytes; }

    [[nodiscard]] stack at(std::byte* bottom) const noexcept {
        const std::size_t page = reinterpret_cast<std::uintptr_t>(bottom) / smallest_page;
        return {bottom, bottom + bytes - sizeof(stack_label) - page * colour_step % colours * cache_line};
    }

private:
    static constexpr std::size_t smallest_page = 4096;
    static constexpr std::size_t cache_line = 64;
    // 1 KiB of the last page at most: together with the frames of a fiber that sleeps this stays within one page. The
    // step of 7 keeps neighbours from sharing pairs of lines, which the processor fetches together.
    static constexpr std::size_t colours = 16;
    static constexpr std::size_t colour_step = 7;
    static constexpr std::size_t most_above_top = (colours - 1) * cache_line + sizeof(stack_label);
};

} // namespace coir::detail
