/// \file
/// spawn_join: the whole life of a fiber that does next to nothing: made by a running fiber, started, ended, joined.
///
/// Boost.Fiber twice, as it comes (a stack from malloc for every fiber) and with its pool of stacks; the faster one
/// counts. Both libraries queue the new fiber (launch::post there), and join() switches to it.

#include <benchmark/benchmark.h>

#include <boost/fiber/fiber.hpp>
#include <boost/fiber/pooled_fixedsize_stack.hpp>
#include <coir/fiber.hpp>
#include <coir/run.hpp>

#include <cstdint>
#include <memory>

namespace {

void expect_calls(benchmark::State& state, std::int64_t calls) {
    if (calls != state.iterations())
        state.SkipWithError("not every fiber has run");
    state.SetItemsProcessed(calls);
}

void spawn_by_coir(benchmark::State& state) {
    coir::run([&] {
        std::int64_t calls = 0;
        for (auto _ : state)
            coir::spawn([&calls] { ++calls; }).join();
        expect_calls(state, calls);
    });
}

void spawn_by_boost(benchmark::State& state) {
    std::int64_t calls = 0;
    for (auto _ : state)
        boost::fibers::fiber{[&calls] { ++calls; }}.join();
    expect_calls(state, calls);
}

void spawn_by_boost_pooled(benchmark::State& state) {
    const boost::fibers::pooled_fixedsize_stack stacks;
    std::int64_t calls = 0;
    for (auto _ : state)
        boost::fibers::fiber{std::allocator_arg, boost::fibers::pooled_fixedsize_stack{stacks}, [&calls] { ++calls; }}
            .join();
    expect_calls(state, calls);
}

BENCHMARK(spawn_by_coir)->Name("spawn_join/coir");
BENCHMARK(spawn_by_boost)->Name("spawn_join/Boost.Fiber");
BENCHMARK(spawn_by_boost_pooled)->Name("spawn_join/Boost.Fiber, pooled stacks");

} // namespace

BENCHMARK_MAIN();
