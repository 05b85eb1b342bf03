/// \file
/// switch_fp_equal, switch_fp_differs: one switch between two stacks, `coir::context` against the bare `jump_fcontext`
/// of Boost.Context. Ours is measured as users call it, with all that resume() and suspend() check and keep; the peer
/// is the naked assembler routine.
///
/// In the second row FE_INEXACT is set on one side: see sticky_flags.hpp.

#include "sticky_flags.hpp"

#include <benchmark/benchmark.h>

#include <boost/context/detail/fcontext.hpp>
#include <boost/context/fixedsize_stack.hpp>
#include <coir/context.hpp>

namespace {

namespace fcontext = boost::context::detail;

// Round trips between two looks at the harness: enough that clearing the flags (0.2 us) does not count.
constexpr int batch = 4096;

void switch_by_coir(benchmark::State& state, flags wanted) {
    clear_flags();
    bool inexact_inside = false;
    coir::context other{[&](coir::context::self& self) {
        if (wanted == flags::differ)
            round_a_number();
        inexact_inside = is_inexact();
        for (;;)
            self.suspend();
    }};
    other.resume();
    expect_flags(state, wanted, inexact_inside);
    while (state.KeepRunningBatch(batch)) {
        clear_flags();
        for (int i = 0; i < batch; ++i)
            other.resume();
    }
    state.SetItemsProcessed(2 * state.iterations());
}

struct other_side {
    flags wanted;
    bool inexact_inside;
};

void jump_back_for_ever(fcontext::transfer_t from) {
    auto& self = *static_cast<other_side*>(from.data);
    if (self.wanted == flags::differ)
        round_a_number();
    self.inexact_inside = is_inexact();
    for (;;)
        from = fcontext::jump_fcontext(from.fctx, nullptr);
}

void switch_by_boost(benchmark::State& state, flags wanted) {
    clear_flags();
    boost::context::fixedsize_stack stacks;
    boost::context::stack_context stack = stacks.allocate();
    other_side inside{wanted, false};
    fcontext::fcontext_t fresh = fcontext::make_fcontext(stack.sp, stack.size, jump_back_for_ever);
    fcontext::transfer_t other = fcontext::jump_fcontext(fresh, &inside);
    expect_flags(state, wanted, inside.inexact_inside);
    while (state.KeepRunningBatch(batch)) {
        clear_flags();
        for (int i = 0; i < batch; ++i)
            other = fcontext::jump_fcontext(other.fctx, nullptr);
        if (is_inexact()) // jump_fcontext keeps the flags apart, or there would be nothing to reload
            state.SkipWithError("FE_INEXACT has come over from the other side");
    }
    state.SetItemsProcessed(2 * state.iterations());
    stacks.deallocate(stack); // nothing on it has a destructor
}

BENCHMARK_CAPTURE(switch_by_coir, equal, flags::equal)->Name("switch_fp_equal/coir");
BENCHMARK_CAPTURE(switch_by_boost, equal, flags::equal)->Name("switch_fp_equal/Boost.Context jump_fcontext");
BENCHMARK_CAPTURE(switch_by_coir, differs, flags::differ)->Name("switch_fp_differs/coir");
BENCHMARK_CAPTURE(switch_by_boost, differs, flags::differ)->Name("switch_fp_differs/Boost.Context jump_fcontext");

} // namespace

BENCHMARK_MAIN();
