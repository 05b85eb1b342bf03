#include "io/file_threads.hpp"

#include "io/operation.hpp"

#include <coir/offload.hpp>

#include <atomic>
#include <cerrno>
#include <memory>
#include <new>
#include <pthread.h>
#include <system_error>

namespace coir::detail {
namespace {

// They mostly wait for a device, which does better the more it is asked at a time.
constexpr std::size_t most_threads = 16;

// Not the common pool: long computations there would keep files waiting. Never destroyed: threads may use it as long as the
// process lives (hazard G9).
constinit std::atomic<offload_pool*> threads_for_files{nullptr};

// The child of a fork() has none of these threads, and starts its own.
void forget_threads() noexcept {
    threads_for_files.store(nullptr, std::memory_order_relaxed);
}

offload_pool& pool() {
    if (offload_pool* const made = threads_for_files.load(std::memory_order_acquire))
        return *made;
    [[maybe_unused]] static const int forgotten_in_child = ::pthread_atfork(nullptr, nullptr, forget_threads);
    auto fresh = std::make_unique<offload_pool>(offload_options{.most_threads = most_threads, .name = "coir-files"});
    offload_pool* first = nullptr;
    if (threads_for_files.compare_exchange_strong(first, fresh.get(), std::memory_order_acq_rel))
        return *fresh.release();
    return *first; // another loop was faster
}

} // namespace

int lend_to_thread(loop& here, offloaded_call& call, deadline until) noexcept {
    if (here.refuses())
        return was_cancelled;
    try {
        switch (pool().lend(call, until)) {
        case wake_reason::cancelled:
            return was_cancelled;
        case wake_reason::timed_out:
            return ETIMEDOUT;
        default:
            return 0;
        }
    } catch (const std::system_error& failure) {
        return failure.code().value();
    } catch (const std::bad_alloc&) {
        return ENOMEM;
    }
}

} // namespace coir::detail
