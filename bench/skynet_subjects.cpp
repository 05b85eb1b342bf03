/// \file
/// skynet: each fiber makes ten others and adds up what they return, down to the leaves, which return their number. A
/// million leaves need six generations, 1,111,111 fibers. One operation is one leaf, with its share of the fibers above.

#include "stopwatch.hpp"
#include "sync_bench.hpp"

#include <boost/fiber/fiber.hpp>
#include <boost/fiber/pooled_fixedsize_stack.hpp>
#include <coir/fiber.hpp>

#include <array>
#include <cstddef>
#include <memory>
#include <stdexcept>
#include <utility>

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

/// The pool's usual stacks have 128 KiB, which makes 13 GB of 100,000, and where the system uses huge pages, all of it in
/// memory. So they are smaller here.
template <class Function> boost::fibers::fiber spawn_by_boost(Function&& function) {
    static const boost::fibers::pooled_fixedsize_stack stacks{std::size_t{16} * 1024};
    return boost::fibers::fiber{std::allocator_arg, boost::fibers::pooled_fixedsize_stack{stacks},
                                std::forward<Function>(function)};
}

/// Its fibers return nothing, so they write it where the one above can read it.
std::int64_t sum_by_boost(std::int64_t first, std::int64_t leaves) {
    if (leaves == 1)
        return first;
    std::array<boost::fibers::fiber, children> fibers;
    std::array<std::int64_t, children> results{};
    for (std::size_t i = 0; i < children; ++i) {
        fibers[i] =
            spawn_by_boost([first, leaves, &result = results[i]] { result = sum_by_boost(first, leaves / 10); });
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
