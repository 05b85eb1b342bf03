#pragma once

#include "stack/slab_table.hpp"
#include "stack/stack.hpp"
#include "stack/valgrind.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <system_error>

namespace coir::detail {

/// One mapping with places for stacks. Knows which places are free, and nothing of their users.
///
/// - Address space is reserved, memory is committed by the kernel as pages are touched. A slab is never unmapped in
///   parts: that splits mappings, and can itself fail (hazard C2).
/// - A guard is installed when its place is first taken, before the stack is touched: transparent huge pages would
///   otherwise commit the neighbourhood (hazard C7). A place whose guard cannot be installed is not handed out.
/// - The lowest place is taken first, so the places that have guards are the first ones.
class slab {
public:
    static constexpr std::size_t most_stacks = 256;

    /// `stacks` is at most most_stacks. Throws std::system_error.
    slab(const stack_geometry& geometry, std::size_t stacks, const owner_description* owners);
    ~slab();
    slab(const slab&) = delete;
    slab& operator=(const slab&) = delete;

    [[nodiscard]] const std::byte* begin() const noexcept { return memory_; }
    [[nodiscard]] const std::byte* end() const noexcept { return memory_ + stacks_ * geometry_.pitch(); }
    [[nodiscard]] std::size_t stacks() const noexcept { return stacks_; }
    [[nodiscard]] std::size_t guarded() const noexcept { return guarded_; }

    [[nodiscard]] bool is_unused() const noexcept { return taken_ == 0; }
    [[nodiscard]] bool has_guarded_place() const noexcept { return taken_ < guarded_; }
    [[nodiscard]] bool has_unguarded_place() const noexcept { return guarded_ < stacks_; }

    /// Guards one more place. There must be one without a guard.
    [[nodiscard]] std::error_code guard_next() noexcept;

    /// The bottom of a stack in a guarded place. There must be one. What memory it has is zero.
    [[nodiscard]] std::byte* take() noexcept;

    /// The stack at `bottom` is no longer used, its memory has been given back.
    void give_back(const std::byte* bottom) noexcept;

    /// Gives up the address space. False if the kernel refuses even that, because it would split a mapping of which this
    /// slab has become a part, and there are too many: then nothing has changed.
    [[nodiscard]] bool unmap() noexcept;

private:
    static constexpr std::size_t bits = 64;

    void enter() noexcept { registration_.emplace(slab_extent{memory_, stacks_, geometry_, owners_}); }
    [[nodiscard]] std::byte* bottom_of(std::size_t place) const noexcept {
        return memory_ + place * geometry_.pitch() + geometry_.guard_bytes;
    }

    stack_geometry geometry_;
    std::size_t stacks_;
    const owner_description* owners_;
    std::byte* memory_;
    std::optional<slab_registration> registration_; // as long as it is mapped
    std::size_t guarded_ = 0;
    std::size_t taken_ = 0;
    std::array<std::uint64_t, most_stacks / bits> free_{}; // of the guarded places
    stacks_known_to_valgrind known_;                       // the guarded places
};

} // namespace coir::detail
