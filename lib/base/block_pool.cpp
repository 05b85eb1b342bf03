#include "base/block_pool.hpp"

#include <atomic>
#include <sys/mman.h>
#include <utility>

namespace coir::detail {

/// What a pool's chunks refer to, also when the pool has gone. Without a lock, which a child of fork() might find locked for ever.
struct block_pool::shared_part {
    std::atomic<link*> returned = nullptr; // blocks that others than the pool's thread have freed, or `closed`
    std::atomic<std::size_t> users = 1;    // the pool, and its chunks

    static constinit link closed; // the pool has gone

    void leave() noexcept {
        if (users.fetch_sub(1, std::memory_order_acq_rel) == 1)
            delete this;
    }
};

constinit block_pool::link block_pool::shared_part::closed{nullptr};

namespace {

std::byte* map_bytes(std::size_t bytes) {
    void* const memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        throw std::bad_alloc{};
    return static_cast<std::byte*>(memory);
}

} // namespace

std::byte* block_pool::map() {
    const auto excess = [](const std::byte* where) { return reinterpret_cast<std::uintptr_t>(where) % chunk_bytes; };
    // Mappings usually lie side by side: after the first aligned one the others are aligned as well.
    std::byte* memory = map_bytes(chunk_bytes);
    if (excess(memory) == 0)
        return memory;
    ::munmap(memory, chunk_bytes);
    memory = map_bytes(2 * chunk_bytes);
    const std::size_t below = (chunk_bytes - excess(memory)) % chunk_bytes;
    if (below != 0) // unmapping nothing is an error, and would show in the running fiber's errno
        ::munmap(memory, below);
    ::munmap(memory + below + chunk_bytes, chunk_bytes - below);
    return memory + below;
}

void block_pool::unmap(chunk& unused) noexcept {
    unused.~chunk();
    ::munmap(&unused, chunk_bytes);
}

block_pool::~block_pool() {
    if (!shared_)
        return;
    // From the exchange on, whoever frees the last block of a chunk unmaps it. In those that have room, and so are in a list, the
    // pool holds a block, as it were, until it has taken them out.
    const auto hold = [](chunk& each) { ++each.used; };
    const auto let_go = [](chunk& each) {
        each.unlink();
        free_in_orphan(each);
    };
    for (intrusive_list<chunk>& each : with_room_)
        each.for_each(hold);
    empty_.for_each(hold);
    link* returned = shared_->returned.exchange(&shared_part::closed, std::memory_order_acq_rel);
    while (returned)
        free_in_orphan(chunk_of(std::exchange(returned, returned->next)));
    for (intrusive_list<chunk>& each : with_room_)
        each.for_each(let_go);
    empty_.for_each(let_go);
    shared_->leave();
}

// A block of `from`, whose pool has gone, or is going.
void block_pool::free_in_orphan(chunk& from) noexcept {
    if (std::atomic_ref{from.used}.fetch_sub(1, std::memory_order_acq_rel) != 1)
        return;
    shared_part& shared = *from.owner;
    unmap(from);
    shared.leave();
}

void* block_pool::allocate_otherwise(std::size_t size) {
    if (size > largest)
        return ::operator new(size);
    add_chunk(index_of(size));
    return allocate(size);
}

// Sees to it that there is a chunk with room for blocks of size (index + 1) * step.
void block_pool::add_chunk(std::size_t index) {
    if (!shared_)
        shared_ = new shared_part;
    if (take_back_returned() && !with_room_[index].empty())
        return;
    std::byte* memory = nullptr;
    if (empty_count_ > 0) {
        chunk& reused = empty_.pop_front();
        reused.~chunk();
        memory = reinterpret_cast<std::byte*>(&reused);
        empty_surplus_.taken(--empty_count_);
    } else {
        memory = map();
        shared_->users.fetch_add(1, std::memory_order_relaxed);
    }
    auto* const fresh = new (memory) chunk;
    constexpr std::size_t header = (sizeof(chunk) + step - 1) / step * step;
    fresh->owner = shared_;
    fresh->untouched = memory + header;
    fresh->block_size = (index + 1) * step;
    fresh->capacity = (chunk_bytes - header) / fresh->block_size;
    with_room_[index].push_back(*fresh);
}

void block_pool::retire(chunk& unused) noexcept {
    unused.unlink();
    empty_.push_back(unused);
    ++empty_count_;
}

// True if there were any.
bool block_pool::take_back_returned() noexcept {
    link* const returned = shared_->returned.exchange(nullptr, std::memory_order_acquire);
    for (link* rest = returned; rest;) {
        link* const block = std::exchange(rest, rest->next);
        deallocate(block, chunk_of(block).block_size);
    }
    return returned != nullptr;
}

void block_pool::deallocate_elsewhere(void* block, std::size_t size) noexcept {
    if (size > largest)
        return ::operator delete(block);
    chunk& from = chunk_of(block);
    std::atomic<link*>& returned = from.owner->returned;
    link* const fresh = new (block) link{returned.load(std::memory_order_acquire)};
    do {
        if (fresh->next == &shared_part::closed)
            return free_in_orphan(from);
    } while (!returned.compare_exchange_weak(fresh->next, fresh, std::memory_order_release, std::memory_order_acquire));
}

std::int64_t block_pool::trim_idle(std::int64_t now, std::size_t keep, std::size_t batch) noexcept {
    return empty_surplus_.trim(now, empty_count_, keep, batch, [this](std::size_t count) {
        for (; count > 0; --count) {
            unmap(empty_.pop_front());
            --empty_count_;
            shared_->users.fetch_sub(1, std::memory_order_relaxed); // not the last: the pool is one
        }
    });
}

} // namespace coir::detail
