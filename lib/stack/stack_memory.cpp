#include "stack/stack_memory.hpp"

#include "stack/guard.hpp"

#include <algorithm>
#include <array>
#include <sys/mman.h>

namespace coir::detail {

std::size_t pages_in_use(const std::byte* bottom, const std::byte* end) noexcept {
    std::array<unsigned char, 256> resident;
    const std::size_t page = page_size();
    const auto pages = static_cast<std::size_t>(end - bottom) / page;
    for (std::size_t first = 0; first < pages; first += resident.size()) {
        const std::size_t count = std::min(resident.size(), pages - first);
        if (::mincore(const_cast<std::byte*>(bottom) + first * page, count * page, resident.data()) != 0)
            return pages; // it cannot be told: all of them
        const auto deepest = std::find_if(resident.begin(), resident.begin() + static_cast<std::ptrdiff_t>(count),
                                          [](unsigned char flags) { return (flags & 1) != 0; });
        if (const auto index = static_cast<std::size_t>(deepest - resident.begin()); index < count)
            return pages - first - index;
    }
    return 0;
}

void release_memory(std::byte* begin, std::byte* end) noexcept {
    ::madvise(begin, static_cast<std::size_t>(end - begin), MADV_DONTNEED);
}

void release_below_caller(std::byte* bottom, std::size_t bytes) noexcept {
    constexpr std::ptrdiff_t callees = 512; // what is called from here needs less
    auto* const here = static_cast<std::byte*>(__builtin_frame_address(0));
    if (here - callees <= bottom || here >= bottom + bytes)
        return;
    const auto below = static_cast<std::size_t>(here - callees - bottom);
    release_memory(bottom, bottom + below / page_size() * page_size());
}

} // namespace coir::detail
