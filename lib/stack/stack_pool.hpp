#pragma once

#include "base/ring.hpp"
#include "base/surplus.hpp"
#include "stack/slab.hpp"
#include "stack/stack.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <system_error>
#include <vector>

namespace coir::detail {

/// Stacks of one size, for one thread at a time; cut from slabs.
///
/// Returned stacks are kept, and handed out last in, first out, because their top pages are warm. Their memory goes back to
/// the system in three ways, none of which costs a loop that spawns and ends fibers in a steady manner a system call:
///
/// - Stacks that have not been needed for a while, coldest first: trim_idle(). A slab without users is unmapped, page tables
///   and all.
/// - A stack that is reused loses what lies below its top four pages, if a use before went that deep: it would otherwise be
///   kept for ever by one who needs less. It is looked at when it is reused for the first time, the second, the fourth, …,
///   the 512th, and then no more.
/// - At the pool's end everything.
class stack_pool {
public:
    /// Stacks of at least `size` usable bytes, with at least `guard` bytes of guard below each. Throws as
    /// stack_geometry::of(). Maps nothing yet.
    explicit stack_pool(std::size_t size, std::size_t guard = 0, const owner_description* owners = nullptr);
    ~stack_pool();
    stack_pool(const stack_pool&) = delete;
    stack_pool& operator=(const stack_pool&) = delete;

    [[nodiscard]] const stack_geometry& geometry() const noexcept { return geometry_; }

    /// Promises a stack to somebody who will take it later, so that what can fail fails now: a later allocate() finds
    /// address space, and a guard where guards are scarce. Throws std::system_error, naming the limit that was hit.
    void promise() {
        if (promised_ >= prepared_) [[unlikely]]
            prepare_more();
        ++promised_;
    }
    /// promise() has nothing to do but to count.
    [[nodiscard]] bool can_promise_at_once() const noexcept { return promised_ < prepared_; }
    /// The one to whom a stack was promised has ended.
    void end_promise() noexcept { --promised_; }

    /// A stack for somebody to whom one was promised, and who will be its owner. Throws std::system_error, naming the limit
    /// that was hit.
    [[nodiscard]] stack allocate(const void* owner) {
        if (const stack reused = reuse(owner); reused.bottom) [[likely]]
            return reused;
        return allocate_otherwise(owner);
    }

    /// allocate(), if that is only a matter of taking a pooled stack. Null at the bottom: it is not, and nothing has happened.
    [[nodiscard]] stack reuse(const void* owner) noexcept {
        if (pooled_.empty()) [[unlikely]]
            return {};
        const stack newest = geometry_.at(pooled_.newest());
        stack_label& label = newest.label();
        if (label.uses + 1 == label.next_look) [[unlikely]]
            return {};
        take_pooled(label, owner);
        return newest;
    }

    /// The stack that begins at `bottom` gets another owner.
    void hand_over(std::byte* bottom, const void* heir) noexcept;

    /// Takes back the stack of this pool that begins at `bottom`. May be called while still running on it, by code that
    /// then switches away before anybody else allocates.
    void deallocate(std::byte* bottom) noexcept { pooled_.push(bottom); } // has room: see map_slab()

    /// There may be something to trim.
    [[nodiscard]] bool exceeds(std::size_t keep) const noexcept { return pooled_.size() > keep; }

    /// Gives the memory of pooled stacks beyond `keep` back to the system, `batch` of them at most, coldest first. True if
    /// more is left to do.
    bool trim(std::size_t keep, std::size_t batch) noexcept;

    /// As trim(), of those stacks that have not been needed for a while: see surplus::trim().
    std::int64_t trim_idle(std::int64_t now, std::size_t keep, std::size_t batch) noexcept {
        return surplus_.trim(now, pooled_.size(), keep, batch,
                             [this](std::size_t count) { trim(pooled_.size() - count, count); });
    }

private:
    [[gnu::noinline]] stack allocate_otherwise(const void* owner);
    void take_pooled(stack_label& label, const void* owner) noexcept {
        (void)pooled_.pop_newest();
        surplus_.taken(pooled_.size());
        label.owner = owner;
        ++label.uses;
    }
    void look_at(stack reused) noexcept;
    void prepare_more();
    void map_slab();
    void guard_one_more();
    [[nodiscard]] std::byte* take_untouched();
    [[nodiscard]] std::size_t slabs_up_to(const std::byte* address) const noexcept;
    void give_back(std::byte* first, std::byte* last) noexcept;
    void unmap_if_unused(std::size_t index) noexcept;
    [[noreturn]] void throw_exhausted(std::error_code error, const char* what) const;

    stack_geometry geometry_;
    std::size_t stacks_per_slab_;
    const owner_description* owners_;
    ring<std::byte> pooled_;                   // bottoms of unused stacks with memory, coldest first
    surplus surplus_;                          // of these
    std::vector<std::unique_ptr<slab>> slabs_; // by address
    std::size_t first_guarded_ = 0;            // no slab before this one has a guarded place,
    std::size_t first_unguarded_ = 0;          // nor one before this an unguarded place
    std::size_t capacity_ = 0;                 // stacks in all slabs
    std::size_t guarded_ = 0;                  // of them, those that have a guard,
    std::size_t taken_ = 0;                    // and of these, those that are in use or pooled
    std::size_t promised_ = 0;                 // stacks in use or promised
    std::size_t prepared_ = 0;                 // stacks that can be promised without doing anything
};

} // namespace coir::detail
