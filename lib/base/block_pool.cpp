#include "base/block_pool.hpp"

#include <mutex>
#include <sys/mman.h>
#include <utility>

namespace coir::detail {

/// What a pool's chunks refer to, also when the pool has gone.
struct block_pool::shared_part {
    std::mutex mutex;         // for what follows
    link* returned = nullptr; // blocks that others than the pool's thread have freed
    bool has_pool = true;
    std::size_t chunks = 0; // while there is a pool, only it changes this
};

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
    bool is_last = false;
    {
        // All at once: a block that another thread frees is either in the list here, or freed by that thread.
        const std::lock_guard lock{shared_->mutex};
        shared_->has_pool = false;
        take_back(std::exchange(shared_->returned, nullptr));
        const auto release = [this](chunk& each) {
            each.unlink();
            if (each.used != 0)
                return;
            unmap(each);
            --shared_->chunks;
        };
        for (intrusive_list<chunk>& each : with_room_)
            each.for_each(release);
        empty_.for_each(release);
        is_last = shared_->chunks == 0;
    }
    if (is_last)
        delete shared_;
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
        ++shared_->chunks;
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
    link* returned = nullptr;
    {
        const std::lock_guard lock{shared_->mutex};
        std::swap(returned, shared_->returned);
    }
    take_back(returned);
    return returned != nullptr;
}

void block_pool::take_back(link* blocks) noexcept {
    while (blocks) {
        link* const block = std::exchange(blocks, blocks->next);
        deallocate(block, chunk_of(block).block_size);
    }
}

void block_pool::deallocate_elsewhere(void* block, std::size_t size) noexcept {
    if (size > largest)
        return ::operator delete(block);
    chunk& from = chunk_of(block);
    shared_part& shared = *from.owner;
    bool is_last = false;
    {
        const std::lock_guard lock{shared.mutex};
        if (shared.has_pool) {
            shared.returned = new (block) link{shared.returned};
            return;
        }
        if (--from.used != 0)
            return;
        unmap(from);
        is_last = --shared.chunks == 0;
    }
    if (is_last)
        delete &shared;
}

std::int64_t block_pool::trim_idle(std::int64_t now, std::size_t keep, std::size_t batch) noexcept {
    return empty_surplus_.trim(now, empty_count_, keep, batch, [this](std::size_t count) {
        for (; count > 0; --count) {
            unmap(empty_.pop_front());
            --empty_count_;
            --shared_->chunks;
        }
    });
}

} // namespace coir::detail
