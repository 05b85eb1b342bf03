#include "stack/slab_table.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>

namespace coir::detail {
namespace {

// An entry is free, claimed, or holds a slab. `begin` says which, and is written last: whoever finds a begin in it finds the
// other fields as well.
struct entry {
    std::atomic<std::uintptr_t> begin;
    std::atomic<std::size_t> count;
    std::atomic<std::size_t> stack_bytes;
    std::atomic<std::size_t> guard_bytes;
    std::atomic<const owner_description*> owners;
};
static_assert(std::atomic<std::uintptr_t>::is_always_lock_free && std::atomic<void*>::is_always_lock_free);

constexpr std::uintptr_t free_entry = 0;
constexpr std::uintptr_t claimed_entry = 1;

constexpr std::size_t capacity = 16'384;
constinit std::array<entry, capacity> table; // zero pages until they are written
constinit std::atomic<std::size_t> used = 0; // entries from here on have never been claimed

} // namespace

slab_registration::slab_registration(const slab_extent& extent) noexcept {
    for (index_ = 0; index_ < capacity; ++index_) {
        std::uintptr_t expected = free_entry;
        if (table[index_].begin.load(std::memory_order_relaxed) == free_entry &&
            table[index_].begin.compare_exchange_strong(expected, claimed_entry, std::memory_order_acquire))
            break;
    }
    if (index_ == capacity)
        return;
    std::size_t seen = used.load(std::memory_order_relaxed);
    while (seen <= index_ && !used.compare_exchange_weak(seen, index_ + 1, std::memory_order_release)) {}
    entry& mine = table[index_];
    mine.count.store(extent.count, std::memory_order_relaxed);
    mine.stack_bytes.store(extent.geometry.bytes, std::memory_order_relaxed);
    mine.guard_bytes.store(extent.geometry.guard_bytes, std::memory_order_relaxed);
    mine.owners.store(extent.owners, std::memory_order_relaxed);
    mine.begin.store(reinterpret_cast<std::uintptr_t>(extent.begin), std::memory_order_release);
}

slab_registration::~slab_registration() {
    if (index_ < capacity)
        table[index_].begin.store(free_entry, std::memory_order_release);
}

bool find_slab(const void* address, slab_extent& found) noexcept {
    const auto where = reinterpret_cast<std::uintptr_t>(address);
    const std::size_t end = used.load(std::memory_order_acquire);
    for (std::size_t i = 0; i < end; ++i) {
        const entry& each = table[i];
        const std::uintptr_t begin = each.begin.load(std::memory_order_acquire);
        if (begin <= claimed_entry || where < begin)
            continue;
        found = {reinterpret_cast<std::byte*>(begin),
                 each.count.load(std::memory_order_relaxed),
                 {each.stack_bytes.load(std::memory_order_relaxed), each.guard_bytes.load(std::memory_order_relaxed)},
                 each.owners.load(std::memory_order_relaxed)};
        // A slab that has just gone may have been mixed up with the next in its place. A slab that the asking thread runs on
        // does not go.
        if (where - begin < found.count * found.geometry.pitch())
            return true;
    }
    return false;
}

} // namespace coir::detail
