#include "sched/thread_parker.hpp"

#include <cerrno>
#include <climits>
#include <ctime>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace coir::detail {
namespace {

constexpr std::int64_t second = 1'000'000'000;

static_assert(sizeof(std::atomic<std::uint32_t>) == 4, "a futex is a word");

// As futex(2); the deadline is absolute, on the steady clock, as FUTEX_WAIT_BITSET takes it.
int futex(std::atomic<std::uint32_t>& word, int operation, std::uint32_t value, const timespec* until) noexcept {
    return static_cast<int>(
        ::syscall(SYS_futex, &word, operation | FUTEX_PRIVATE_FLAG, value, until, nullptr, FUTEX_BITSET_MATCH_ANY));
}

} // namespace

thread_parker& thread_parker::current() noexcept {
    static constinit thread_local thread_parker parker;
    return parker;
}

bool thread_parker::park(deadline until) noexcept {
    const std::int64_t time = until.time().time_since_epoch().count();
    const timespec limit{time > 0 ? time / second : 0, time > 0 ? time % second : 0};
    const int saved_errno = errno;
    while (unparked_.exchange(0, std::memory_order_acquire) == 0) {
        if (futex(unparked_, FUTEX_WAIT_BITSET, 0, until.is_never() ? nullptr : &limit) == -1 && errno == ETIMEDOUT) {
            errno = saved_errno;
            return unparked_.exchange(0, std::memory_order_acquire) != 0;
        }
    }
    errno = saved_errno;
    return true;
}

void thread_parker::unpark() noexcept {
    const int saved_errno = errno;
    unparked_.store(1, std::memory_order_release);
    futex(unparked_, FUTEX_WAKE, 1, nullptr);
    errno = saved_errno;
}

} // namespace coir::detail
