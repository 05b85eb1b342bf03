#include "stack/guard.hpp"

#include "base/remembered.hpp"

#include <cerrno>
#include <ctime>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace coir::detail {
namespace {

constexpr int madv_guard_install = 102; // MADV_GUARD_INSTALL; the headers of Debian 12 do not have it yet

bool mark(std::byte* begin, std::size_t bytes) noexcept {
    return ::madvise(begin, bytes, madv_guard_install) == 0;
}

// A write from the kernel's side into a guard fails with EFAULT and raises no signal: a probe without a signal handler. The
// system call is made by number, since the C library's function would write without the kernel.
bool kernel_refuses_to_write(std::byte* page) noexcept {
    return ::syscall(SYS_clock_gettime, CLOCK_MONOTONIC, page) == -1 && errno == EFAULT;
}

guard_kind probe() noexcept {
    const int saved_errno = errno;
    void* page = ::mmap(nullptr, page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        return guard_kind::protection;
    auto* guard = static_cast<std::byte*>(page);
    const bool works = mark(guard, page_size()) && kernel_refuses_to_write(guard);
    ::munmap(page, page_size());
    errno = saved_errno;
    return works ? guard_kind::marker : guard_kind::protection;
}

std::size_t ask_page_size() noexcept {
    return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

} // namespace

std::size_t page_size() noexcept {
    return remembered<ask_page_size>();
}

guard_kind available_guard() noexcept {
    return remembered<probe>();
}

std::error_code install_guard(std::byte* begin, std::size_t bytes, guard_kind kind) noexcept {
    if (kind == guard_kind::marker && mark(begin, bytes))
        return {};
    if (::mprotect(begin, bytes, PROT_NONE) == 0)
        return {};
    return {errno, std::generic_category()};
}

} // namespace coir::detail
