/// \file
/// generator_step, generator_step_differs: one step of a generator that counts, from an element to the next one, which
/// is two switches: `coir::generator` against `boost::coroutines2`, both gone through by iterators as a range-for does,
/// and added up.
///
/// Boost a second time without its iterators, by calling the pull_type; the faster one counts. In the second row
/// FE_INEXACT is set inside: see sticky_flags.hpp.

#include "sticky_flags.hpp"

#include <benchmark/benchmark.h>

#include <boost/coroutine2/coroutine.hpp>
#include <coir/generator.hpp>

#include <cstdint>

namespace {

using number = std::int64_t;

// Steps between two looks at the harness: enough that clearing the flags (0.2 us) does not count.
constexpr int batch = 4096;

/// The function of the generator, on either side: counts for ever.
class counting {
public:
    explicit counting(flags wanted) : wanted_(wanted) {}

    template <class Yield> void operator()(Yield& yield) {
        if (wanted_ == flags::differ)
            round_a_number();
        inexact_ = is_inexact();
        for (number each = 0;; ++each)
            yield(each);
    }

    /// Once it has begun: measures `add_batch`, the sum of the next elements, whose number is `batch`.
    template <class AddBatch> void measure(benchmark::State& state, AddBatch add_batch) const {
        expect_flags(state, wanted_, inexact_);
        number sum = 0;
        number first = 0;
        while (state.KeepRunningBatch(batch)) {
            clear_flags();
            sum = add_batch();
            if (sum != batch * (2 * first + batch - 1) / 2)
                state.SkipWithError("these are not the elements");
            first += batch;
        }
        state.SetItemsProcessed(state.iterations());
    }

private:
    flags wanted_;
    bool inexact_ = false;
};

void step_by_coir(benchmark::State& state, flags wanted) {
    clear_flags();
    counting function{wanted};
    coir::generator<number> numbers = [&](auto& yield) { function(yield); };
    auto here = numbers.begin();
    function.measure(state, [&] {
        number sum = 0;
        for (int left = batch; left > 0 && here != numbers.end(); ++here, --left)
            sum += *here;
        return sum;
    });
}

using coroutine = boost::coroutines2::coroutine<number>;

void step_by_boost(benchmark::State& state, flags wanted) {
    clear_flags();
    counting function{wanted};
    coroutine::pull_type numbers{[&](coroutine::push_type& yield) { function(yield); }};
    auto here = begin(numbers);
    function.measure(state, [&] {
        number sum = 0;
        for (int left = batch; left > 0 && here != end(numbers); ++here, --left)
            sum += *here;
        return sum;
    });
}

void step_by_boost_without_iterators(benchmark::State& state, flags wanted) {
    clear_flags();
    counting function{wanted};
    coroutine::pull_type numbers{[&](coroutine::push_type& yield) { function(yield); }};
    function.measure(state, [&] {
        number sum = 0;
        for (int left = batch; left > 0 && numbers; numbers(), --left)
            sum += numbers.get();
        return sum;
    });
}

BENCHMARK_CAPTURE(step_by_coir, equal, flags::equal)->Name("generator_step/coir");
BENCHMARK_CAPTURE(step_by_boost, equal, flags::equal)->Name("generator_step/boost::coroutines2");
BENCHMARK_CAPTURE(step_by_boost_without_iterators, equal, flags::equal)
    ->Name("generator_step/boost::coroutines2 without iterators");
BENCHMARK_CAPTURE(step_by_coir, differs, flags::differ)->Name("generator_step_differs/coir");
BENCHMARK_CAPTURE(step_by_boost, differs, flags::differ)->Name("generator_step_differs/boost::coroutines2");
BENCHMARK_CAPTURE(step_by_boost_without_iterators, differs, flags::differ)
    ->Name("generator_step_differs/boost::coroutines2 without iterators");

} // namespace

BENCHMARK_MAIN();
