#include "stack/slab.hpp"

#include "stack/guard.hpp"

#include <bit>
#include <cerrno>
#include <sys/mman.h>

namespace coir::detail {
namespace {

std::byte* map(std::size_t bytes) {
    void* memory =
        ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        throw std::system_error(errno, std::generic_category());
    // MAP_STACK alone means this only since Linux 6.7. EINVAL: a kernel without huge pages.
    const int errno_before = errno; // the running fiber's
    ::madvise(memory, bytes, MADV_NOHUGEPAGE);
    errno = errno_before;
    return static_cast<std::byte*>(memory);
}

} // namespace

slab::slab(const stack_geometry& geometry, std::size_t stacks, const owner_description* owners)
    : geometry_(geometry), stacks_(stacks), owners_(owners), memory_(map(stacks * geometry.pitch())) {
    enter();
}

slab::~slab() {
    if (registration_)
        (void)unmap();
}

bool slab::unmap() noexcept {
    registration_.reset(); // first: another thread may map a slab of its own there at once
    stack_notes::forget(memory_, stacks_ * geometry_.pitch());
    if (::munmap(memory_, stacks_ * geometry_.pitch()) == 0)
        return true;
    enter();
    return false;
}

std::error_code slab::guard_next() noexcept {
    const std::error_code error =
        install_guard(memory_ + guarded_ * geometry_.pitch(), geometry_.guard_bytes, available_guard());
    if (!error) {
        notes_.add(bottom_of(guarded_), geometry_.bytes);
        free_[guarded_ / bits] |= std::uint64_t{1} << guarded_ % bits;
        ++guarded_;
    }
    return error;
}

std::byte* slab::take() noexcept {
    std::size_t word = 0;
    while (free_[word] == 0)
        ++word;
    const auto place = word * bits + static_cast<std::size_t>(std::countr_zero(free_[word]));
    free_[word] &= free_[word] - 1;
    ++taken_;
    return bottom_of(place);
}

void slab::give_back(const std::byte* bottom) noexcept {
    const std::size_t place = static_cast<std::size_t>(bottom - memory_) / geometry_.pitch();
    free_[place / bits] |= std::uint64_t{1} << place % bits;
    --taken_;
}

} // namespace coir::detail
