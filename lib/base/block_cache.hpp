#pragma once

#include <array>
#include <cstddef>
#include <new>

namespace coir::detail {

/// A few freed blocks of small sizes, for who frees and allocates in turn: a loop keeps the control blocks of ended fibers
/// for the next ones, which saves a fifth of the time of spawn and join.
/// Not more than a few, so that memory goes back.
class block_cache {
public:
    block_cache() = default;
    block_cache(const block_cache&) = delete;
    block_cache& operator=(const block_cache&) = delete;
    ~block_cache() {
        for (shelf& each : shelves_)
            while (each.count > 0)
                ::operator delete(each.blocks[--each.count]);
    }

    /// As ::operator new. Any block may be given to ::operator delete.
    [[nodiscard]] void* allocate(std::size_t size) {
        const std::size_t index = index_of(size);
        if (index >= shelves_.size())
            return ::operator new(size);
        shelf& from = shelves_[index];
        return from.count > 0 ? from.blocks[--from.count] : ::operator new((index + 1) * step);
    }

    /// `block` came from allocate(size), of this cache or another.
    void deallocate(void* block, std::size_t size) noexcept {
        const std::size_t index = index_of(size);
        if (index < shelves_.size() && shelves_[index].count < most)
            shelves_[index].blocks[shelves_[index].count++] = block;
        else
            ::operator delete(block);
    }

private:
    static constexpr std::size_t step = 16; // that of malloc: with larger ones a million fibers cost memory
    static constexpr std::size_t most = 15;

    struct shelf {
        std::size_t count = 0;
        std::array<void*, most> blocks;
    };

    static std::size_t index_of(std::size_t size) noexcept { return (size - 1) / step; }

    std::array<shelf, 32> shelves_;
};

} // namespace coir::detail
