/// \file
/// switch_floor: what a switch costs on this processor if it does next to nothing, and `coir::context` beside that.
/// Each of the two jumps of the floor has one target for ever, and no call is left without its return: it is a unit to
/// measure by, and not something that a library could do. x86-64 only; meson leaves this program out elsewhere.

#include "bare_switch_x86_64.hpp"

#include <benchmark/benchmark.h>

#include <coir/context.hpp>

#include <array>
#include <cstddef>

namespace {

// Round trips between two looks at the harness.
constexpr int batch = 4096;

bare_execution outside;
bare_execution inside;
alignas(16) std::array<std::byte, std::size_t{16} * 1024> inside_stack;

void go_back_for_ever() {
    for (;;)
        bare_switch(inside, outside);
}

void switch_bare(benchmark::State& state) {
    // As after a call: 8 bytes off the multiple of 16.
    inside = {inside_stack.data() + inside_stack.size() - 8, go_back_for_ever, nullptr};
    while (state.KeepRunningBatch(batch))
        for (int i = 0; i < batch; ++i)
            bare_switch(outside, inside);
    state.SetItemsProcessed(2 * state.iterations());
}

void switch_by_coir(benchmark::State& state) {
    coir::context other{[](coir::context::self& self) {
        for (;;)
            self.suspend();
    }};
    while (state.KeepRunningBatch(batch))
        for (int i = 0; i < batch; ++i)
            other.resume();
    state.SetItemsProcessed(2 * state.iterations());
}

BENCHMARK(switch_by_coir)->Name("switch_floor/coir");
BENCHMARK(switch_bare)->Name("switch_floor/bare inline switch");

} // namespace

BENCHMARK_MAIN();
