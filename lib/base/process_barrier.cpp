#include "base/process_barrier.hpp"

#include "base/diagnostic.hpp"
#include "base/remembered.hpp"

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

bool can_register() noexcept {
    const int before = errno;
    const bool can = membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);
    errno = before;
    return can;
}

} // namespace

bool has_process_barrier() noexcept {
    return remembered<can_register>();
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
