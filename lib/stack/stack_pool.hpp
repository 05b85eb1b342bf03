#pragma once

#include "stack/guard.hpp"
#include "stack/stack_notes.hpp"

#include <cstddef>
#include <vector>

namespace coir::detail {

/// Memory to run on: grows down from `top` to `bottom`, below which there is a guard page.
struct stack {
    std::byte* bottom;
    std::byte* top; ///< aligned to 16, coloured: see stack_pool

    [[nodiscard]] std::size_t size() const noexcept { return static_cast<std::size_t>(top - bottom); }
};

/// Stacks of one size, for one thread at a time.
///
/// They are cut from slabs, each one mapping:
///
///     | guard | stack 0    | guard | stack 1    | guard | stack 2    | ...        lower addresses to the left
///
/// - Address space is reserved, memory is committed by the kernel as pages are touched. A slab is never unmapped in
///   parts: that splits mappings, and can itself fail (hazard C2).
/// - A guard is installed when its stack is first used, before the stack is touched: transparent huge pages would
///   otherwise commit the neighbourhood (hazard C7). A stack whose guard cannot be installed is not handed out.
/// - A stack is an even number of pages and the guard is one, so neighbouring stacks are an odd number of pages apart
///   and their tops spread over the sets of the TLB and of the caches that are indexed beyond the page.
/// - Within the page the tops are shifted against each other by some cache lines ("coloured"): without that all the
///   suspended frames of a thousand fibers compete for the same few sets of the first-level cache.
/// - Returned stacks are kept, last in first out, because their top pages are warm. trim() gives memory back.
class stack_pool {
public:
    /// Stacks of at least `size` usable bytes. Throws std::invalid_argument, naming the limit, for a size below
    /// minimum_stack_size or beyond what can be mapped. Maps nothing yet.
    explicit stack_pool(std::size_t size);
    ~stack_pool();
    stack_pool(const stack_pool&) = delete;
    stack_pool& operator=(const stack_pool&) = delete;

    [[nodiscard]] static std::size_t rounded_size(std::size_t size);
    [[nodiscard]] std::size_t stack_size() const noexcept { return size_; }

    /// Promises a stack to somebody who will take it later, so that what can fail fails now: a later allocate() finds
    /// address space, and a guard where guards are scarce. Throws std::system_error, naming the limit that was hit.
    void promise() {
        if (promised_ >= prepared_) [[unlikely]]
            prepare_more();
        ++promised_;
    }
    /// The one to whom a stack was promised has ended.
    void end_promise() noexcept { --promised_; }

    /// A stack for somebody to whom one was promised. Throws std::system_error, naming the limit that was hit.
    [[nodiscard]] stack allocate() {
        if (touched_.empty()) [[unlikely]]
            return stack_from(untouched_bottom());
        std::byte* bottom = touched_.back();
        touched_.pop_back();
        return stack_from(bottom);
    }

    /// Takes back the stack of this pool that begins at `bottom`. May be called while still running on it, by code that
    /// then switches away before anybody else allocates.
    void deallocate(std::byte* bottom) noexcept { touched_.push_back(bottom); } // has room: see map_slab()

    /// Gives the memory of unused stacks beyond `keep` back to the system, `batch` of them at most. True if more is left
    /// to do.
    bool trim(std::size_t keep, std::size_t batch) noexcept;

private:
    struct slab {
        std::byte* memory;
        std::size_t stacks;
    };

    void map_slab();
    [[nodiscard]] std::size_t slot_bytes() const noexcept { return size_ + page_size(); }
    void prepare_more();
    [[nodiscard]] std::byte* untouched_bottom();
    [[nodiscard]] std::byte* guarded_fresh_slot();
    [[nodiscard]] stack stack_from(std::byte* bottom) const noexcept;
    [[noreturn]] void throw_exhausted(std::error_code error, const char* what) const;

    std::size_t size_;
    std::size_t stacks_per_slab_;
    std::vector<slab> slabs_;
    std::vector<std::byte*> touched_;   // bottoms of unused stacks with memory; the last is handed out first
    std::vector<std::byte*> untouched_; // bottoms of unused stacks without memory, guarded
    std::size_t fresh_slab_ = 0;        // where the next stack without a guard is: this slab,
    std::size_t fresh_slot_ = 0;        // this place in it
    std::size_t capacity_ = 0;          // stacks in all slabs
    std::size_t guarded_ = 0;           // stacks that have a guard
    std::size_t promised_ = 0;          // stacks in use or promised
    std::size_t prepared_ = 0;          // stacks that can be promised without doing anything
    stack_notes notes_;                 // of those that have a guard
};

} // namespace coir::detail
