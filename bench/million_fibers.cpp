/// \file
/// million_fibers: COUNT guarded fibers alive at once, in one loop. Prints `name value` lines: nanoseconds per fiber to spawn
/// them all (until each has run and waits), to wake them all (until each has run and waits again), and to end them all;
/// bytes of memory and page tables per fiber while they wait; and how much of it is left three seconds after their end.

#include "used_memory.hpp"

#include <coir/deadline.hpp>
#include <coir/fiber.hpp>
#include <coir/run.hpp>
#include <coir/this_fiber.hpp>

#include <chrono>
#include <exception>
#include <iostream>
#include <string>

namespace {

using clock_type = std::chrono::steady_clock;

/// What all wait for: the end of a fiber that sleeps.
coir::fiber<void> closed_gate() {
    return coir::spawn([] { coir::this_fiber::sleep_until(coir::deadline::never()); });
}

class stopwatch {
public:
    explicit stopwatch(long count) : count_(count) {}
    /// Since the last lap, per fiber.
    long lap() {
        const auto now = clock_type::now();
        const auto lap = std::chrono::nanoseconds{now - std::exchange(last_, now)};
        return lap.count() / count_;
    }

private:
    long count_;
    clock_type::time_point last_ = clock_type::now();
};

void wait_for(const long& counter, long value) {
    while (counter < value)
        coir::this_fiber::yield();
}

void measure(long count) {
    long arrived = 0;
    long woken = 0;
    long ended = 0;
    coir::fiber<void> first_gate = closed_gate();
    coir::fiber<void> second_gate = closed_gate();
    const auto visitor = [&] {
        ++arrived;
        first_gate.wait();
        ++woken;
        second_gate.wait();
        ++ended;
    };
    coir::spawn(visitor).detach(); // brings in the code and the first slab: not a cost of the others
    coir::this_fiber::yield();
    const long before = used_memory();

    stopwatch watch{count};
    for (long i = 0; i < count; ++i)
        coir::spawn(visitor).detach();
    wait_for(arrived, count + 1);
    const long spawn = watch.lap();
    const long bytes = (used_memory() - before) / count;
    (void)watch.lap();
    first_gate.cancel();
    wait_for(woken, count + 1);
    const long wake = watch.lap();
    second_gate.cancel();
    wait_for(ended, count + 1);
    const long end = watch.lap();
    coir::this_fiber::sleep_for(std::chrono::seconds{3});
    std::cout << "alive " << count << "\nspawn_ns " << spawn << "\nwake_ns " << wake << "\nend_ns " << end << "\nbytes "
              << bytes << "\nleft_bytes " << used_memory() - before << '\n';
}

} // namespace

int main(int argc, char** argv) try {
    const long count = argc > 1 ? std::stol(argv[1]) : 1'000'000;
    coir::run([count] { measure(count); });
} catch (const std::exception& error) {
    std::cerr << "million_fibers: " << error.what() << '\n';
    return 1;
}
