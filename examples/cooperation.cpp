/// A loop cannot interrupt a running fiber: what that means for the others, and the way out.

#include <coir/deadline.hpp>
#include <coir/fiber.hpp>
#include <coir/run.hpp>
#include <coir/this_fiber.hpp>

#include <algorithm>
#include <chrono>
#include <iostream>

using namespace std::chrono_literals;
using clock_type = std::chrono::steady_clock;

namespace {

/// Keeps the processor busy for a tenth of a millisecond, as a computation would.
void compute_a_part() {
    const auto end = clock_type::now() + 100us;
    while (clock_type::now() < end) {}
}

void compute_in_one_go() {
    for (int part = 0; part < 1000; ++part)
        compute_a_part();
}

void compute_with_breaks() {
    for (int part = 0; part < 1000; ++part) {
        compute_a_part();
        coir::this_fiber::yield(); // costs about 10 ns when there is nothing else to do
    }
}

/// How late a fiber that wants to run every 5 ms is at worst, while another one computes.
clock_type::duration worst_delay_beside(void (*compute)()) {
    clock_type::duration worst{};
    const coir::fiber<void> ticker = coir::spawn([&worst] {
        for (;;) {
            const auto due = clock_type::now() + 5ms;
            coir::this_fiber::sleep_until(due);
            worst = std::max(worst, clock_type::now() - due);
        }
    });
    coir::this_fiber::yield(); // let it go to sleep
    coir::spawn(compute).join();
    coir::this_fiber::sleep_for(10ms); // and wake up
    return worst;
}

} // namespace

int main() {
    return coir::run([] {
        const std::chrono::duration<double, std::milli> alone = worst_delay_beside(compute_in_one_go);
        const std::chrono::duration<double, std::milli> shared = worst_delay_beside(compute_with_breaks);
        std::cout << "another fiber is late by up to " << alone.count() << " ms without yield(), by up to "
                  << shared.count() << " ms with it\n";
        return alone > 90ms && shared < alone / 2 ? 0 : 1;
    });
}
