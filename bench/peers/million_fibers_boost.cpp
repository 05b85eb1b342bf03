/// \file
/// What million_fibers measures, of Boost.Fiber with its guarded stacks: up to COUNT of them, or as many as there can be.

#include "used_memory.hpp"

#include <boost/fiber/condition_variable.hpp>
#include <boost/fiber/fiber.hpp>
#include <boost/fiber/mutex.hpp>
#include <boost/fiber/operations.hpp>
#include <boost/fiber/protected_fixedsize_stack.hpp>

#include <chrono>
#include <exception>
#include <iostream>
#include <mutex>
#include <new>
#include <string>
#include <utility>

namespace {

namespace fibers = boost::fibers;
using clock_type = std::chrono::steady_clock;

class gate {
public:
    void pass() {
        std::unique_lock lock{mutex_};
        opened_.wait(lock, [this] { return open_; });
    }
    void open() {
        {
            const std::lock_guard lock{mutex_};
            open_ = true;
        }
        opened_.notify_all();
    }

private:
    fibers::mutex mutex_;
    fibers::condition_variable opened_;
    bool open_ = false;
};

void wait_for(const long& counter, long value) {
    while (counter < value)
        boost::this_fiber::yield();
}

} // namespace

int main(int argc, char** argv) try {
    const long wanted = argc > 1 ? std::stol(argv[1]) : 1'000'000;
    long arrived = 0;
    long woken = 0;
    long ended = 0;
    gate first;
    gate second;
    const auto visitor = [&] {
        ++arrived;
        first.pass();
        ++woken;
        second.pass();
        ++ended;
    };
    const fibers::protected_fixedsize_stack stacks{std::size_t{128} * 1024};
    const long before = used_memory();
    auto last = clock_type::now();
    const auto lap = [&](long count) {
        const auto now = clock_type::now();
        return std::chrono::nanoseconds{now - std::exchange(last, now)}.count() / count;
    };

    long alive = 0;
    try {
        for (; alive < wanted; ++alive)
            fibers::fiber{std::allocator_arg, fibers::protected_fixedsize_stack{stacks}, visitor}.detach();
    } catch (const std::bad_alloc&) { // that many, and no more
    }
    wait_for(arrived, alive);
    const long spawn = lap(alive);
    const long bytes = (used_memory() - before) / alive;
    (void)lap(1);
    first.open();
    wait_for(woken, alive);
    const long wake = lap(alive);
    second.open();
    wait_for(ended, alive);
    const long end = lap(alive);
    std::cout << "alive " << alive << "\nspawn_ns " << spawn << "\nwake_ns " << wake << "\nend_ns " << end << "\nbytes "
              << bytes << '\n';
} catch (const std::exception& error) {
    std::cerr << "million_fibers_boost: " << error.what() << '\n';
    return 1;
}
