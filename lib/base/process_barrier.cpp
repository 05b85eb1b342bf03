#include "base/process_barrier.hpp"

#include "base/diagnostic.hpp"

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <linux/membarrier.h>
#include <string>
#include <sys/syscall.h>
#include <system_error>
#include <unistd.h>

namespace coir::detail {
namespace {

bool membarrier(int command) noexcept {
    return ::syscall(SYS_membarrier, command, 0, 0) == 0;
}

enum class answer : unsigned char { not_asked, yes, no };

constinit std::atomic<answer> registration{answer::not_asked};

} // namespace

bool has_process_barrier() noexcept {
    // Not a static variable of the function: a thread may fork while another one initialises it. Twice does no harm.
    answer known = registration.load(std::memory_order_relaxed);
    if (known == answer::not_asked) {
        const int before = errno;
        known = membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) ? answer::yes : answer::no;
        registration.store(known, std::memory_order_relaxed);
        errno = before;
    }
    return known == answer::yes;
}

void process_barrier() noexcept {
    if (membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED)) [[likely]]
        return;
    // A child of fork() may have to register again.
    if (errno == EPERM && membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) &&
        membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED))
        return;
    report("membarrier(2) worked before and fails now (" + std::generic_category().message(errno) +
           "): a filter of system calls that is set after coir's first use must let it pass");
    std::abort(); // two threads would be inside one lock
}

} // namespace coir::detail
