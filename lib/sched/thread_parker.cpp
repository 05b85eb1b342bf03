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

bool thread_parker::park(const std::atomic<bool>& delivered, deadline until) noexcept {
    if (kept_ > 0 && delivered.load(std::memory_order_acquire)) {
        --kept_;
        return true;
    }
    while (take_token(until)) {
        if (delivered.load(std::memory_order_acquire))
            return true;
        ++kept_;
    }
    return false;
}

// False: `until` has passed before there was one.
bool thread_parker::take_token(deadline until) noexcept {
    const std::int64_t time = until.time().time_since_epoch().count();
    const timespec limit{time > 0 ? time / second : 0, time > 0 ? time % second : 0};
    const int saved_errno = errno;
    bool in_time = true;
    while (tokens_.load(std::memory_order_relaxed) == 0 && in_time)
        in_time = futex(tokens_, FUTEX_WAIT_BITSET, 0, until.is_never() ? nullptr : &limit) == 0 || errno != ETIMEDOUT;
    errno = saved_errno;
    if (tokens_.load(std::memory_order_relaxed) == 0)
        return false;
    tokens_.fetch_sub(1, std::memory_order_acquire);
    return true;
}

void thread_parker::unpark(std::atomic<bool>& delivered) noexcept {
    const int saved_errno = errno;
    delivered.store(true, std::memory_order_release);
    tokens_.fetch_add(1, std::memory_order_release);
    futex(tokens_, FUTEX_WAKE, 1, nullptr);
    errno = saved_errno;
}

} // namespace coir::detail
