#include "stack/stack_pool.hpp"

#include "stack/guard.hpp"
#include "stack/stack_memory.hpp"

#include <algorithm>
#include <array>
#include <string>

namespace coir::detail {
namespace {

constexpr std::size_t slab_bytes = std::size_t{32} << 20;

// What a stack keeps when it is reused: most fibers that call into the C library use no more, so it would only have to be
// faulted in again.
constexpr std::size_t pages_kept = 4;

// Who has been used so often has shown what it needs, and is looked at no more.
constexpr std::uint32_t last_look = 512;

std::string in_kibibytes(std::size_t bytes) {
    return std::to_string(bytes / 1024) + " KiB";
}

} // namespace

stack_pool::stack_pool(std::size_t size, std::size_t guard, const owner_description* owners)
    : geometry_(stack_geometry::of(size, guard)),
      stacks_per_slab_(std::clamp<std::size_t>(slab_bytes / geometry_.pitch(), 1, slab::most_stacks)), owners_(owners) {
}

stack_pool::~stack_pool() = default;

void stack_pool::prepare_more() {
    if (capacity_ <= promised_)
        map_slab();
    if (available_guard() == guard_kind::marker) {
        // Markers are not scarce, and are left to the first use: a fiber that ends before others begin shares its stack.
        prepared_ = capacity_;
    } else {
        if (guarded_ <= promised_)
            guard_one_more();
        prepared_ = guarded_;
    }
}

void stack_pool::map_slab() {
    pooled_.reserve(capacity_ + stacks_per_slab_); // room for every stack: so taking one back cannot fail
    slabs_.reserve(slabs_.size() + 1);
    std::unique_ptr<slab> fresh;
    try {
        fresh = std::make_unique<slab>(geometry_, stacks_per_slab_, owners_);
    } catch (const std::system_error& error) {
        throw_exhausted(error.code(), "mapping memory for stacks");
    }
    const std::size_t index = slabs_up_to(fresh->begin());
    slabs_.insert(slabs_.begin() + static_cast<std::ptrdiff_t>(index), std::move(fresh));
    capacity_ += stacks_per_slab_;
    first_guarded_ = std::min(first_guarded_, index);
    first_unguarded_ = std::min(first_unguarded_, index);
}

// How many slabs begin at or below `address`: the last of these is the one it is in, if it is in any.
std::size_t stack_pool::slabs_up_to(const std::byte* address) const noexcept {
    const auto after = std::upper_bound(slabs_.begin(), slabs_.end(), address,
                                        [](const std::byte* where, const auto& each) { return where < each->begin(); });
    return static_cast<std::size_t>(after - slabs_.begin());
}

void stack_pool::guard_one_more() {
    while (first_unguarded_ < slabs_.size() && !slabs_[first_unguarded_]->has_unguarded_place())
        ++first_unguarded_;
    if (first_unguarded_ == slabs_.size())
        map_slab();
    if (const std::error_code error = slabs_[first_unguarded_]->guard_next())
        throw_exhausted(error, "guarding a stack");
    ++guarded_;
    first_guarded_ = std::min(first_guarded_, first_unguarded_);
}

std::byte* stack_pool::take_untouched() {
    if (taken_ == guarded_)
        guard_one_more();
    while (!slabs_[first_guarded_]->has_guarded_place())
        ++first_guarded_;
    std::byte* const taken = slabs_[first_guarded_]->take();
    ++taken_;
    return taken;
}

stack stack_pool::allocate_otherwise(const void* owner) {
    if (pooled_.empty()) {
        const stack fresh = geometry_.at(take_untouched());
        new (fresh.top) stack_label{.owner = owner};
        return fresh;
    }
    const stack reused = geometry_.at(pooled_.newest());
    take_pooled(reused.label(), owner);
    look_at(reused);
    return reused;
}

void stack_pool::look_at(stack reused) noexcept {
    stack_label& label = reused.label();
    label.next_look = label.next_look < last_look ? 2 * label.next_look : 0;
    const std::size_t kept = pages_kept * page_size();
    if (geometry_.bytes <= kept)
        return;
    std::byte* const end = reused.bottom + geometry_.bytes - kept;
    if (pages_in_use(reused.bottom, end) != 0)
        release_memory(reused.bottom, end);
}

void stack_pool::hand_over(std::byte* bottom, const void* heir) noexcept {
    geometry_.at(bottom).label().owner = heir;
}

bool stack_pool::trim(std::size_t keep, std::size_t batch) noexcept {
    std::array<std::byte*, 64> taken;
    while (batch > 0 && pooled_.size() > keep) {
        const std::size_t count = std::min({batch, pooled_.size() - keep, taken.size()});
        for (std::size_t i = 0; i < count; ++i)
            taken[i] = pooled_.pop();
        std::sort(taken.begin(), taken.begin() + count);
        // Neighbours go back in one call: guards that lie between them stay.
        for (std::size_t first = 0, last = 0; first < count; first = ++last) {
            while (last + 1 < count && taken[last + 1] == taken[last] + geometry_.pitch())
                ++last;
            give_back(taken[first], taken[last]);
        }
        batch -= count;
    }
    return pooled_.size() > keep;
}

// The stacks from the one at `first` to the one at `last`.
void stack_pool::give_back(std::byte* first, std::byte* last) noexcept {
    release_memory(first, last + geometry_.bytes);
    for (std::byte* bottom = first; bottom <= last; bottom += geometry_.pitch()) {
        const std::size_t index = slabs_up_to(bottom) - 1;
        slabs_[index]->give_back(bottom);
        --taken_;
        first_guarded_ = std::min(first_guarded_, index);
        unmap_if_unused(index);
    }
}

void stack_pool::unmap_if_unused(std::size_t index) noexcept {
    const slab& unused = *slabs_[index];
    const bool can_go = unused.is_unused() && capacity_ - unused.stacks() >= promised_ &&
                        (available_guard() == guard_kind::marker || guarded_ - unused.guarded() >= promised_);
    if (!can_go || !slabs_[index]->unmap())
        return;
    capacity_ -= unused.stacks();
    guarded_ -= unused.guarded();
    prepared_ = std::min(prepared_, available_guard() == guard_kind::marker ? capacity_ : guarded_);
    slabs_.erase(slabs_.begin() + static_cast<std::ptrdiff_t>(index));
    first_guarded_ = std::min(first_guarded_, index);
    first_unguarded_ = std::min(first_unguarded_, index);
}

void stack_pool::throw_exhausted(std::error_code error, const char* what) const {
    std::string message = "coir: " + std::string{what} + " of " + in_kibibytes(geometry_.bytes) + " failed with " +
                          std::to_string(promised_) + " in use; the limit is ";
    if (available_guard() == guard_kind::protection)
        message += "probably vm.max_map_count (this kernel guards a stack with two mappings), or ";
    message += "address space (ulimit -v), memory (cgroup, vm.overcommit_memory), or vm.max_map_count";
    throw std::system_error(error, message);
}

} // namespace coir::detail
