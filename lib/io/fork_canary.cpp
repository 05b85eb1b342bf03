#include "io/fork_canary.hpp"

#include "base/diagnostic.hpp"
#include "base/first_call.hpp"

#include <cstdlib>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

namespace coir::detail {

constinit unsigned char fork_canary::always_own_ = 1;
constinit std::atomic<volatile unsigned char*> fork_canary::is_own_{&always_own_};

void fork_canary::watch() noexcept {
    static constinit first_call watching;
    if (!watching.is_this())
        return;
    // Where there is no such page (before Linux 4.14), every process is taken for the right one. A child that shares all
    // memory with its parent (vfork) finds the parent's, and may not do more than exec() anyway.
    const auto bytes = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    void* const page = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        return;
    if (::madvise(page, bytes, MADV_WIPEONFORK) != 0 ||
        ::pthread_atfork(nullptr, nullptr, [] { *is_own_.load(std::memory_order_relaxed) = 1; }) != 0) {
        ::munmap(page, bytes);
        return;
    }
    auto* const is_own = static_cast<unsigned char*>(page);
    *is_own = 1;
    is_own_.store(is_own, std::memory_order_release);
}

void fork_canary::end_process() noexcept {
    report("this process was made by _Fork() or clone(): its event loop is its parent's, and cannot be used. Call "
           "fork(), or "
           "do no more than exec() or _exit()");
    std::abort();
}

} // namespace coir::detail
