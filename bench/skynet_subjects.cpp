/// \file
/// skynet: each fiber makes ten others and adds up what they return, down to the leaves, which return their number. A
/// million leaves need six generations, 1,111,111 fibers. One operation is one leaf, with its share of the fibers above.

#include "libraries.hpp"
#include "stopwatch.hpp"
#include "sync_bench.hpp"

#include <array>
#include <cstddef>
#include <stdexcept>

namespace {

constexpr std::size_t children = 10;

std::int64_t sum_by_coir(std::int64_t first, std::int64_t leaves) {
    if (leaves == 1)
        return first;
    std::array<coir::fiber<std::int64_t>, children> fibers;
    for (auto& fiber : fibers) {
        fiber = coir::spawn([first, leaves] { return sum_by_coir(first, leaves / 10); });
        first += leaves / 10;
    }
    std::int64_t sum = 0;
    for (auto& fiber : fibers)
        sum += fiber.join();
    return sum;
}

/// Its fibers return nothing, so they write it where the one above can read it.
std::int64_t sum_by_boost(std::int64_t first, std::int64_t leaves) {
    if (leaves == 1)
        return first;
    std::array<by_boost::fiber, children> fibers;
    std::array<std::int64_t, children> results{};
    for (std::size_t i = 0; i < children; ++i) {
        fibers[i] =
            by_boost::spawn([first, leaves, &result = results[i]] { result = sum_by_boost(first, leaves / 10); });
        first += leaves / 10;
    }
    std::int64_t sum = 0;
    for (std::size_t i = 0; i < children; ++i) {
        fibers[i].join();
        sum += results[i];
    }
    return sum;
}

template <std::int64_t (*Sum)(std::int64_t, std::int64_t)> double skynet(std::int64_t leaves) {
    const stopwatch watch;
    if (Sum(0, leaves) != leaves * (leaves - 1) / 2)
        throw std::runtime_error{"skynet: not the sum of all leaves"};
    return watch.nanoseconds() / static_cast<double>(leaves);
}

} // namespace

std::vector<subject> skynet_subjects() {
    return {{"skynet", "coir", skynet<sum_by_coir>}, {"skynet", "boost", skynet<sum_by_boost>}};
}
