#include "stack/overflow.hpp"

#include "stack/signal_frame.hpp"
#include "stack/slab_table.hpp"

#include <cstddef>

namespace coir::detail {
namespace {

// -fstack-clash-protection moves the stack pointer so far before it touches the memory above.
constexpr std::ptrdiff_t probe_interval = 4096;

// What the kernel leaves alone below the stack pointer of who is interrupted: x86-64 has most.
constexpr std::size_t red_zone = 128;

/// A guard and the stack above it.
struct guarded_stack {
    const slab_extent& slab;
    std::byte* guard;
    std::byte* bottom;

    guarded_stack(const slab_extent& its_slab, const void* address) noexcept
        : slab(its_slab), guard(slab.guard_at(address)), bottom(slab.bottom_at(address)) {}

    /// In the guard, or in the stack.
    [[nodiscard]] bool contains(const void* address) const noexcept {
        return address >= guard && address < guard + slab.geometry.pitch();
    }

    /// Null if there is nobody of whom anything could be said.
    [[nodiscard]] const void* owner() const noexcept {
        return slab.owners ? slab.geometry.at(bottom).label().owner : nullptr;
    }
};

void append_whose(const guarded_stack& overflowed, bounded_text& text) noexcept {
    if (const void* const owner = overflowed.owner())
        overflowed.slab.owners->name(owner, text);
    else
        text << "somebody";
    text << " overflowed its " << overflowed.slab.geometry.bytes / 1024 << " KiB stack ";
    text.append_address(overflowed.bottom) << "-";
    text.append_address(overflowed.bottom + overflowed.slab.geometry.bytes) << ": ";
}

void append_advice(const guarded_stack& overflowed, bounded_text& text) noexcept {
    if (const void* const owner = overflowed.owner())
        overflowed.slab.owners->advise(owner, text);
}

overflow overflow_at(const void* address, const guarded_stack& overflowed) noexcept {
    const void* const owner = overflowed.owner();
    return {address, owner, owner ? overflowed.slab.owners->id(owner) : 0};
}

} // namespace

std::optional<overflow> describe_overflow(const void* address, const void* stack_pointer, bounded_text& text) noexcept {
    slab_extent slab;
    if (!find_slab(address, slab))
        return std::nullopt;
    const guarded_stack touched{slab, address};
    if (address >= touched.bottom)
        return std::nullopt; // not in a guard: memory that somebody has protected, perhaps
    // Only who runs on a stack overflows it. Others meet its guard when they write beyond an array, or follow a wild pointer:
    // the neighbour below, for one, whose stack pointer may be where that of a probe of a large frame is.
    const void* const owner = touched.owner();
    const bool is_probing = stack_pointer < touched.guard && stack_pointer >= touched.guard - probe_interval;
    if (!touched.contains(stack_pointer) && !(is_probing && owner && slab.owners->is_running(owner)))
        return std::nullopt;

    append_whose(touched, text);
    text << "access to ";
    text.append_address(address);
    append_advice(touched, text);
    text << "\n      code compiled without -fstack-clash-protection may have overwritten other stacks before";
    return overflow_at(address, touched);
}

std::optional<overflow> describe_signal_overflow(const void* stack_pointer, bounded_text& text) noexcept {
    slab_extent slab;
    if (!find_slab(stack_pointer, slab))
        return std::nullopt;
    const guarded_stack interrupted{slab, stack_pointer};
    if (stack_pointer >= interrupted.bottom + red_zone + signal_frame_bytes())
        return std::nullopt; // there was room

    append_whose(interrupted, text);
    text << "no room for the frame of a signal handler";
    append_advice(interrupted, text);
    text << "\n      a handler that is installed with SA_ONSTACK needs no room there";
    return overflow_at(stack_pointer, interrupted);
}

} // namespace coir::detail
