/// \file
/// park_memory: what a fiber that sleeps costs: resident memory and page tables of this process, with COUNT fibers
/// asleep minus without, over COUNT. Prints bytes. A process of its own for every measurement: memory that an earlier
/// one has touched would be reused and not counted.

#include "used_memory.hpp"

#include <coir/deadline.hpp>
#include <coir/fiber.hpp>
#include <coir/run.hpp>
#include <coir/this_fiber.hpp>

#include <chrono>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>

namespace {

long bytes_per_sleeper(long count) {
    const coir::deadline far_away{std::chrono::hours{24}};
    long asleep = 0;
    auto sleeper = [&asleep, far_away] {
        ++asleep;
        coir::this_fiber::sleep_until(far_away);
    };
    // The first fiber brings in the code, the first slab, the first timers: not a cost of the others.
    coir::spawn(sleeper).detach();
    coir::this_fiber::yield();
    const long before = used_memory();
    for (long i = 0; i < count; ++i)
        coir::spawn(sleeper).detach();
    while (asleep <= count)
        coir::this_fiber::yield();
    return (used_memory() - before) / count;
}

} // namespace

int main(int argc, char** argv) try {
    const long count = argc > 1 ? std::stol(argv[1]) : 100'000;
    const long bytes = coir::run([count] { return bytes_per_sleeper(count); });
    std::cout << bytes << '\n';
} catch (const std::exception& error) {
    std::cerr << "park_memory: " << error.what() << '\n';
    return 1;
}
