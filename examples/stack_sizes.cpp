/// How much stack do my fibers need? Two kinds of them, measured, and the size that would do for each.

#include <coir/fiber.hpp>
#include <coir/run.hpp>
#include <coir/stack_report.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <iomanip>
#include <iostream>
#include <string_view>
#include <vector>

namespace {

std::size_t modest(std::string_view text) {
    return text.size();
}

/// Keeps its text on the stack, all 20,000 characters of it.
std::size_t hungry(char letter) {
    std::array<char, 20'000> text{};
    text.fill(letter);
    return static_cast<std::size_t>(std::count(text.begin(), text.end(), letter));
}

void work() {
    std::vector<coir::fiber<std::size_t>> workers;
    for (int i = 0; i < 100; ++i) {
        workers.push_back(coir::spawn(modest, "some text"));
        workers.push_back(coir::spawn(hungry, 'x'));
    }
    for (auto& each : workers)
        each.join();
}

int report() {
    std::cout << "fibers  pages  99 %  enough  spawned at\n";
    bool plausible = true;
    for (const coir::stack_usage& each : coir::stack_report()) {
        std::cout << std::setw(6) << each.fibers << std::setw(7) << each.largest_pages << std::setw(6)
                  << each.percentile_99_pages << std::setw(5) << each.sufficient_size / 1024 << " KiB  "
                  << each.site.file << ':' << each.site.line << '\n';
        plausible = plausible && each.largest_pages * 4096 < each.sufficient_size;
    }
    return plausible ? 0 : 1;
}

} // namespace

int main() {
    return coir::run(
        [] {
            work();
            return report();
        },
        {.measure_stacks = true});
}
