#include "stack/stack_pool.hpp"

#include <coir/stack_size.hpp>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <stdexcept>
#include <string>
#include <sys/mman.h>

namespace coir::detail {
namespace {

constexpr std::size_t slab_bytes = std::size_t{32} << 20;
constexpr std::size_t most_stacks_per_slab = 256;
constexpr std::size_t largest_stack = std::size_t{1} << 40;

constexpr std::size_t smallest_page = 4096;
constexpr std::size_t cache_line = 64;
// 16 lines, 1 KiB of the top page at most: together with the frames of a fiber that sleeps this stays within one page.
// The factor 7 keeps neighbours from sharing pairs of lines, which the processor fetches together.
constexpr std::size_t colours = 16;
constexpr std::size_t colour_step = 7;

std::string in_kibibytes(std::size_t bytes) {
    return std::to_string(bytes / 1024) + " KiB";
}

} // namespace

std::size_t stack_pool::rounded_size(std::size_t size) {
    if (size < minimum_stack_size)
        throw std::invalid_argument("coir: stack_size of " + std::to_string(size) + " bytes is below the minimum of " +
                                    std::to_string(minimum_stack_size));
    if (size > largest_stack)
        throw std::invalid_argument("coir: stack_size of " + std::to_string(size) + " bytes is above the maximum of " +
                                    std::to_string(largest_stack));
    const std::size_t two_pages = 2 * page_size();
    return (size + two_pages - 1) / two_pages * two_pages;
}

stack_pool::stack_pool(std::size_t size)
    : size_(rounded_size(size)),
      stacks_per_slab_(std::clamp<std::size_t>(slab_bytes / slot_bytes(), 1, most_stacks_per_slab)) {}

stack_pool::~stack_pool() {
    for (const slab& each : slabs_) {
        stack_notes::forget(each.memory, each.stacks * slot_bytes());
        ::munmap(each.memory, each.stacks * slot_bytes()); // whole mappings: cannot fail by splitting
    }
}

void stack_pool::prepare_more() {
    if (capacity_ <= promised_)
        map_slab();
    if (available_guard() == guard_kind::marker) {
        // Markers are not scarce, and are left to the first use: a fiber that ends before others begin shares its stack.
        prepared_ = capacity_;
    } else {
        untouched_.push_back(guarded_fresh_slot());
        prepared_ = guarded_;
    }
}

void stack_pool::map_slab() {
    // The lists can then take back every stack without allocating.
    slabs_.reserve(slabs_.size() + 1);
    const std::size_t stacks = capacity_ + stacks_per_slab_;
    touched_.reserve(std::max(touched_.capacity(), std::bit_ceil(stacks)));
    untouched_.reserve(std::max(untouched_.capacity(), std::bit_ceil(stacks)));

    const std::size_t bytes = stacks_per_slab_ * slot_bytes();
    void* memory =
        ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        throw_exhausted({errno, std::generic_category()}, "mapping memory for stacks");
    // MAP_STACK alone means this only since Linux 6.7. EINVAL: a kernel without huge pages.
    ::madvise(memory, bytes, MADV_NOHUGEPAGE);
    slabs_.push_back({static_cast<std::byte*>(memory), stacks_per_slab_});
    capacity_ += stacks_per_slab_;
}

stack stack_pool::stack_from(std::byte* bottom) const noexcept {
    // Neighbours are an odd number of pages apart: so their page numbers run through all the colours.
    const std::size_t index = reinterpret_cast<std::uintptr_t>(bottom) / smallest_page;
    return {bottom, bottom + size_ - index * colour_step % colours * cache_line};
}

std::byte* stack_pool::untouched_bottom() {
    if (untouched_.empty())
        return guarded_fresh_slot();
    std::byte* bottom = untouched_.back();
    untouched_.pop_back();
    return bottom;
}

std::byte* stack_pool::guarded_fresh_slot() {
    if (fresh_slab_ == slabs_.size())
        map_slab();
    std::byte* guard = slabs_[fresh_slab_].memory + fresh_slot_ * slot_bytes();
    if (const std::error_code error = install_guard(guard, available_guard()))
        throw_exhausted(error, "guarding a stack");
    notes_.add(guard + page_size(), size_);
    if (++fresh_slot_ == slabs_[fresh_slab_].stacks) {
        ++fresh_slab_;
        fresh_slot_ = 0;
    }
    ++guarded_;
    return guard + page_size();
}

bool stack_pool::trim(std::size_t keep, std::size_t batch) noexcept {
    if (touched_.size() <= keep)
        return false;
    // One call a stack: guards lie between them.
    for (std::size_t left = std::min(batch, touched_.size() - keep); left > 0; --left) {
        ::madvise(touched_.back(), size_, MADV_DONTNEED);
        untouched_.push_back(touched_.back());
        touched_.pop_back();
    }
    return touched_.size() > keep;
}

void stack_pool::throw_exhausted(std::error_code error, const char* what) const {
    std::string message = "coir: " + std::string{what} + " of " + in_kibibytes(size_) + " failed with " +
                          std::to_string(promised_) + " in use; the limit is ";
    if (available_guard() == guard_kind::protection)
        message += "probably vm.max_map_count (this kernel guards a stack with two mappings), or ";
    message += "address space (ulimit -v), memory (cgroup, vm.overcommit_memory), or vm.max_map_count";
    throw std::system_error(error, message);
}

} // namespace coir::detail
