#pragma once

#include "base/surplus.hpp"

#include <coir/detail/intrusive_list.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <new>

namespace coir::detail {

/// Memory for the control blocks of a loop's fibers, which come and go fast, and now and then by the million.
///
/// Blocks are cut from chunks of 1 MiB, each for blocks of one size; larger blocks than 1 KiB come from operator new. A
/// chunk of which all blocks are free can go back to the system. (malloc gives back only what lies above the highest block in
/// use, and adds a header to each.)
///
/// A pool belongs to one thread. But a block may be freed after the pool, and by any thread: then its chunk, which knows where
/// it belongs, goes with its last block.
class block_pool {
public:
    block_pool() noexcept = default;
    ~block_pool();
    block_pool(const block_pool&) = delete;
    block_pool& operator=(const block_pool&) = delete;

    /// As operator new.
    [[nodiscard]] void* allocate(std::size_t size) {
        if (size > largest || with_room_[index_of(size)].empty()) [[unlikely]]
            return allocate_otherwise(size);
        chunk& from = with_room_[index_of(size)].front();
        void* block = from.freed;
        if (block) {
            from.freed = static_cast<link*>(block)->next;
        } else {
            block = from.untouched;
            from.untouched += from.block_size;
        }
        if (++from.used == from.capacity)
            from.unlink();
        return block;
    }

    /// Frees what this or another pool has allocated. On the thread of this pool.
    void deallocate(void* block, std::size_t size) noexcept {
        if (size > largest) [[unlikely]]
            return ::operator delete(block);
        chunk& to = chunk_of(block);
        if (to.owner != shared_) [[unlikely]]
            return deallocate_elsewhere(block, size);
        to.freed = new (block) link{to.freed};
        intrusive_list<chunk>& others = with_room_[index_of(size)];
        if (to.used-- == to.capacity)
            others.push_back(to);
        else if (to.used == 0 && &others.front() != &to) // the one that is in use stays: its blocks are warm
            retire(to);
    }

    /// Frees what any pool has allocated, on any thread.
    static void deallocate_elsewhere(void* block, std::size_t size) noexcept;

    /// There may be something to trim.
    [[nodiscard]] bool exceeds(std::size_t keep) const noexcept { return empty_count_ > keep; }

    /// Gives chunks back to the system that have been empty for a while: see surplus::trim().
    std::int64_t trim_idle(std::int64_t now, std::size_t keep, std::size_t batch) noexcept;

private:
    static constexpr std::size_t step = 16; // sizes are rounded up to a multiple of this
    static constexpr std::size_t largest = 1024;
    static constexpr std::size_t chunk_bytes = std::size_t{1} << 20;

    struct link {
        link* next;
    };

    struct shared_part;

    /// Stands at the begin of its memory, which is aligned to its size.
    struct chunk : list_node {
        shared_part* owner;
        link* freed = nullptr; ///< blocks that were used and are free
        std::byte* untouched;  ///< from here on nothing was ever used
        std::size_t block_size;
        std::size_t used = 0; ///< blocks
        std::size_t capacity; ///< blocks; when all are used it is not in the list of those with room
    };

    static std::size_t index_of(std::size_t size) noexcept { return (size - 1) / step; }
    static chunk& chunk_of(void* block) noexcept {
        return *reinterpret_cast<chunk*>(reinterpret_cast<std::uintptr_t>(block) & ~(chunk_bytes - 1));
    }
    static std::byte* map();
    static void unmap(chunk& unused) noexcept;

    [[nodiscard, gnu::noinline]] void* allocate_otherwise(std::size_t size);
    void add_chunk(std::size_t index);
    void retire(chunk& unused) noexcept;
    bool take_back_returned() noexcept;
    static void free_in_orphan(chunk& from) noexcept;

    std::array<intrusive_list<chunk>, largest / step> with_room_; // by size; the first one is in use
    intrusive_list<chunk> empty_;
    std::size_t empty_count_ = 0;
    surplus empty_surplus_;
    shared_part* shared_ = nullptr; // made with the first chunk; the last of the pool and its chunks deletes it
};

} // namespace coir::detail
