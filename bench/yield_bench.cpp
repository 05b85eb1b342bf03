/// \file
/// yield_N: what one yield costs among N fibers that do nothing else, against Boost.Fiber with its default scheduler
/// (round_robin) and its default stacks.
///
/// The clock is stopped and started by fiber 0, from inside: one iteration is one turn of all N. The others loop in
/// eight different functions, fiber i in function i % 8, because the switch ends in an indirect jump: with a single call
/// site that jump would always have the same target, which no program offers to the branch predictor.

#include <benchmark/benchmark.h>

#include <boost/fiber/fiber.hpp>
#include <boost/fiber/operations.hpp>
#include <coir/fiber.hpp>
#include <coir/run.hpp>
#include <coir/this_fiber.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace {

struct by_coir {
    using fiber = coir::fiber<void>;
    static void yield() { coir::this_fiber::yield(); }
    template <class Function> static fiber spawn(Function&& function) {
        return coir::spawn(std::forward<Function>(function));
    }
    template <class Function> static void run(Function&& function) { coir::run(function); }
};

struct by_boost {
    using fiber = boost::fibers::fiber;
    static void yield() { boost::this_fiber::yield(); }
    template <class Function> static fiber spawn(Function&& function) {
        return fiber{std::forward<Function>(function)};
    }
    template <class Function> static void run(Function&& function) {
        function(); // the thread itself is a fiber there
    }
};

template <class Library, int Site> [[gnu::noinline]] void yield_until(const bool& stopped) {
    while (!stopped) {
        Library::yield();
        asm volatile("" : : "i"(Site)); // no instruction; but without it the compiler merges the eight functions
    }
}

template <class Library, int... Site> constexpr auto make_sites(std::integer_sequence<int, Site...>) {
    return std::array{&yield_until<Library, Site>...};
}

template <class Library> void yield(benchmark::State& state, std::size_t count) {
    static constexpr auto sites = make_sites<Library>(std::make_integer_sequence<int, 8>{});
    Library::run([&] {
        bool stopped = false;
        std::vector<typename Library::fiber> fibers;
        fibers.reserve(count);
        fibers.push_back(Library::spawn([&] {
            for (int warm_up = 0; warm_up < 10; ++warm_up)
                Library::yield();
            for (auto _ : state)
                Library::yield();
            stopped = true;
        }));
        for (std::size_t i = 1; i < count; ++i)
            fibers.push_back(Library::spawn([&stopped, site = sites[i % sites.size()]] { site(stopped); }));
        for (auto& fiber : fibers)
            fiber.join();
    });
    state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(count));
}

void register_row(std::size_t fibers) {
    const std::string name = "yield_" + std::to_string(fibers);
    benchmark::RegisterBenchmark((name + "/coir").c_str(), yield<by_coir>, fibers);
    benchmark::RegisterBenchmark((name + "/Boost.Fiber").c_str(), yield<by_boost>, fibers);
}

} // namespace

int main(int argc, char** argv) {
    for (const std::size_t fibers : {2, 100, 1'000, 10'000})
        register_row(fibers);
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv))
        return 1;
    benchmark::RunSpecifiedBenchmarks();
}
