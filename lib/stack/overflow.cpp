#include "stack/overflow.hpp"

#include "stack/slab_table.hpp"

#include <cstddef>

namespace coir::detail {
namespace {

// -fstack-clash-protection moves the stack pointer so far before it touches the memory above.
constexpr std::ptrdiff_t probe_interval = 4096;

} // namespace

bool describe_overflow(const void* address, const void* stack_pointer, bounded_text& text) noexcept {
    slab_extent slab;
    if (!find_slab(address, slab))
        return false;
    const std::size_t pitch = slab.geometry.pitch();
    const auto offset = static_cast<std::size_t>(static_cast<const std::byte*>(address) - slab.begin);
    std::byte* const guard = slab.begin + offset / pitch * pitch;
    if (offset % pitch >= slab.geometry.guard_bytes)
        return false; // not in a guard: memory that somebody has protected, perhaps
    const stack memory = slab.geometry.at(guard + slab.geometry.guard_bytes);
    const void* const owner = memory.label().owner;
    // Only who runs on a stack overflows it. Others meet its guard when they write beyond an array, or follow a wild pointer:
    // the neighbour below, for one, whose stack pointer may be where that of a probe of a large frame is.
    const bool is_inside = stack_pointer >= guard && stack_pointer < guard + pitch;
    const bool is_probing = stack_pointer < guard && stack_pointer >= guard - probe_interval;
    if (!is_inside && !(is_probing && owner && slab.owners && slab.owners->is_running(owner)))
        return false;

    if (slab.owners && owner)
        slab.owners->name(owner, text);
    else
        text << "somebody";
    text << " overflowed its " << slab.geometry.bytes / 1024 << " KiB stack ";
    text.append_address(memory.bottom) << "-";
    text.append_address(memory.bottom + slab.geometry.bytes) << ": access to ";
    text.append_address(address);
    if (slab.owners && owner)
        slab.owners->advise(owner, text);
    text << "\n      code compiled without -fstack-clash-protection may have overwritten other stacks before";
    return true;
}

} // namespace coir::detail
