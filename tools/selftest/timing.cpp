#include "timing.hpp"

#include <coir/context.hpp>

#include <cfenv>
#include <stdexcept>

namespace selftest {
namespace {

void suspend_for_ever(coir::context::self& self) {
    for (;;)
        self.suspend();
}

double plain() {
    std::feclearexcept(FE_ALL_EXCEPT);
    coir::context other{suspend_for_ever};
    return nanoseconds_per_switch([&] { other.resume(); });
}

/// A rounded number leaves a flag behind, in the same word as the rounding mode.
double with_rounded_number() {
    std::feclearexcept(FE_ALL_EXCEPT);
    coir::context other{[](coir::context::self& self) {
        std::feraiseexcept(FE_INEXACT);
        suspend_for_ever(self);
    }};
    other.resume();
    std::feclearexcept(FE_ALL_EXCEPT);
    return nanoseconds_per_switch([&] { other.resume(); });
}

double with_exception() {
    coir::context other{[](coir::context::self& self) {
        try {
            throw std::runtime_error("being handled");
        } catch (const std::runtime_error&) {
            suspend_for_ever(self);
        }
    }};
    return nanoseconds_per_switch([&] { other.resume(); });
}

constexpr timing timings[] = {
    {"context", "coir::context: all of it", plain},
    {"context_rounded", "  one side has rounded a number", with_rounded_number},
    {"context_exception", "  one side handles an exception", with_exception},
};

} // namespace

std::span<const timing> timings_of_library() {
    return timings;
}

} // namespace selftest
