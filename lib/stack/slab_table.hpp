#pragma once

#include "base/bounded_text.hpp"
#include "stack/stack.hpp"

#include <cstddef>
#include <cstdint>

namespace coir::detail {

/// What can be said of the owners of a pool's stacks (stack_label::owner). Called by a signal handler.
struct owner_description {
    bool (*is_running)(const void* owner) noexcept;               ///< in the calling thread
    std::uint64_t (*id)(const void* owner) noexcept;              ///< tells it from others at its address, on its stack
    void (*name)(const void* owner, bounded_text& text) noexcept; ///< appends who it is
    void (*advise)(const void* owner,
                   bounded_text& text) noexcept; ///< appends a line: what to do if its stack is too small
};

/// The memory of a slab, for those who meet an address in it: `count` times a guard and a stack.
struct slab_extent {
    std::byte* begin;
    std::size_t count;
    stack_geometry geometry;
    const owner_description* owners; ///< of its stacks; lives for ever; may be null

    /// The guard that `address` is in, or below the stack that it is in.
    [[nodiscard]] std::byte* guard_at(const void* address) const noexcept {
        const auto offset = static_cast<std::size_t>(static_cast<const std::byte*>(address) - begin);
        return begin + offset / geometry.pitch() * geometry.pitch();
    }
    /// The lowest usable byte of that stack.
    [[nodiscard]] std::byte* bottom_at(const void* address) const noexcept {
        return guard_at(address) + geometry.guard_bytes;
    }
};

/// A slab's entry in the table of all slabs of the process, as long as it lives.
///
/// The table can be read by a signal handler in any thread while other threads change it: fixed memory, no locks, and a
/// child of fork() finds it whole. When it is full, further slabs are missing in it, and overflows of their
/// stacks unexplained; 16,384 slabs are 4 million stacks of the usual size.
class slab_registration {
public:
    explicit slab_registration(const slab_extent& extent) noexcept;
    ~slab_registration();
    slab_registration(const slab_registration&) = delete;
    slab_registration& operator=(const slab_registration&) = delete;

private:
    std::size_t index_;
};

/// Looks for the slab that `address` is in; false if there is none. Async-signal-safe.
[[nodiscard]] bool find_slab(const void* address, slab_extent& found) noexcept;

} // namespace coir::detail
