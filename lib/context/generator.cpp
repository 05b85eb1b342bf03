#include <coir/generator.hpp>

#include "base/diagnostic.hpp"

#include <cstdlib>
#include <stdexcept>

namespace coir::detail {

void throw_generator_misuse(const context_state* state) {
    if (!state)
        throw std::logic_error("coir: use of a generator that has been moved from");
    if (state->done)
        throw std::logic_error("coir: use of a generator that has ended");
    if (state->resumer)
        throw std::logic_error("coir: use of a generator while its function runs");
    throw std::logic_error("coir: a generator is begun a second time");
}

void abort_generator_in_use() noexcept {
    report("a generator is destroyed while its function runs, or another one yields its elements");
    std::abort();
}

} // namespace coir::detail
