#include "sched/stacks_at_exit.hpp"

#include "base/first_call.hpp"
#include "sched/loop.hpp"
#include "sched/stack_statistics.hpp"

#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <new>
#include <pthread.h>
#include <type_traits>
#include <utility>

namespace coir::detail::stacks_at_exit {
namespace {

/// Of the whole process.
constinit struct {
    std::mutex mutex; // held across fork(), so that the child can take it
    stack_statistics* counted = nullptr;
    bool are_printed = false; // what other threads still count comes too late
} all;
static_assert(std::is_trivially_destructible_v<decltype(all)>); // threads may run loops while main() returns

constinit first_call to_be_wanted;

[[maybe_unused]] const int fork_handlers = ::pthread_atfork([] { all.mutex.lock(); }, [] { all.mutex.unlock(); },
                                                            [] {
                                                                delete std::exchange(all.counted, nullptr);
                                                                all.mutex.unlock();
                                                            });

stack_statistics& counted() {
    if (!all.counted)
        all.counted = new stack_statistics;
    return *all.counted;
}

void print_all() {
    try {
        loop* const here = loop::current(); // of which a fiber calls exit()
        const std::lock_guard lock{all.mutex};
        if (here)
            here->count_stacks_in_use(counted());
        all.are_printed = true;
        if (const std::unique_ptr<stack_statistics> last{std::exchange(all.counted, nullptr)})
            print(last->report());
    } catch (const std::bad_alloc&) { // no report, then
    }
}

} // namespace

bool are_wanted() noexcept {
    const char* const wanted = std::getenv("COIR_STACK_REPORT");
    if (!wanted || std::strcmp(wanted, "1") != 0)
        return false;
    return !to_be_wanted.is_this() || std::atexit(print_all) == 0;
}

void count(const stack_depth& depth) {
    const std::lock_guard lock{all.mutex};
    if (!all.are_printed)
        counted().count(depth);
}

void count_in_use(loop& abandoned) noexcept {
    if (!are_wanted())
        return;
    try {
        const std::lock_guard lock{all.mutex};
        if (!all.are_printed)
            abandoned.count_stacks_in_use(counted());
    } catch (const std::bad_alloc&) { // then they are missing in the report
    }
}

} // namespace coir::detail::stacks_at_exit
