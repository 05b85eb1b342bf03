#include "stack/alternate_stack.hpp"

#include "stack/guard.hpp"

#include <algorithm>
#include <csignal>
#include <cstddef>
#include <sys/mman.h>
#include <unistd.h>

namespace coir::detail {
namespace {

// The frame of a signal alone, with all the registers of a modern processor, takes 12 KiB (hazard C5); the rest is for the
// handlers of others that run there as well, and may take backtraces.
std::size_t usable_bytes() noexcept {
    constexpr long least = 64L * 1024;
    const auto wanted = static_cast<std::size_t>(std::max(least, ::sysconf(_SC_SIGSTKSZ)));
    return (wanted + page_size() - 1) / page_size() * page_size();
}

} // namespace

void* add_alternate_stack() noexcept {
    stack_t present{};
    if (::sigaltstack(nullptr, &present) != 0 || (present.ss_flags & SS_DISABLE) == 0)
        return nullptr;
    const std::size_t bytes = usable_bytes();
    void* const memory = ::mmap(nullptr, page_size() + bytes, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return nullptr;
    ::mprotect(memory, page_size(), PROT_NONE); // a guard, if it can be had
    stack_t mine{};
    mine.ss_sp = static_cast<std::byte*>(memory) + page_size();
    mine.ss_size = bytes;
    ::sigaltstack(&mine, nullptr);
    return memory;
}

void remove_alternate_stack(void* added) noexcept {
    if (!added)
        return;
    stack_t present{};
    if (::sigaltstack(nullptr, &present) == 0 && present.ss_sp == static_cast<std::byte*>(added) + page_size()) {
        stack_t none{};
        none.ss_flags = SS_DISABLE;
        ::sigaltstack(&none, nullptr);
    }
    ::munmap(added, page_size() + usable_bytes());
}

} // namespace coir::detail
