/// One hundred thousand fibers asleep at once: what each costs in memory, and that each wakes up.
///     many_sleepers [COUNT]

#include <coir/fiber.hpp>
#include <coir/run.hpp>
#include <coir/this_fiber.hpp>

#include <chrono>
#include <cstddef>
#include <fstream>
#include <iostream>
#include <string>
#include <system_error>
#include <vector>

using namespace std::chrono_literals;

namespace {

/// KiB of memory that this process really occupies, and of the page tables that describe it.
std::size_t memory_in_use() {
    std::ifstream status{"/proc/self/status"};
    std::size_t sum = 0;
    for (std::string word; status >> word;) {
        if (std::size_t kib = 0; (word == "VmRSS:" || word == "VmPTE:") && status >> kib)
            sum += kib;
    }
    return sum;
}

int sleep_and_wake(std::size_t count) {
    std::size_t asleep = 0; // no lock, no atomic: one fiber runs at a time, and only inside a coir call that changes
    bool night_is_over = false;
    const std::size_t before = memory_in_use();
    std::vector<coir::fiber<void>> sleepers;
    sleepers.reserve(count);
    try {
        while (sleepers.size() < count) {
            sleepers.push_back(coir::spawn([&asleep, &night_is_over] {
                ++asleep;
                while (!night_is_over)
                    coir::this_fiber::sleep_for(1s);
                --asleep;
            }));
        }
    } catch (const std::system_error& error) { // before Linux 6.13 a process has guard pages for some 32,000 stacks
        std::cout << "no more than " << sleepers.size() << ": " << error.what() << '\n';
    }
    while (asleep < sleepers.size())
        coir::this_fiber::yield(); // let them lie down

    const std::size_t used = memory_in_use() - before;
    std::cout << asleep << " fibers asleep on one thread, " << used / 1024 << " MiB in all, "
              << static_cast<double>(used) / static_cast<double>(sleepers.size()) << " KiB each\n";

    const auto start = std::chrono::steady_clock::now();
    night_is_over = true;
    for (coir::fiber<void>& sleeper : sleepers)
        sleeper.join();
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    std::cout << "all awake and gone within " << taken.count() << " s, " << asleep << " still asleep\n";
    return asleep == 0 && !sleepers.empty() ? 0 : 1;
}

} // namespace

int main(int argc, char** argv) {
    const std::size_t count = argc > 1 ? std::stoul(argv[1]) : 100'000;
    return coir::run([count] { return sleep_and_wake(count); });
}
