#include "duty.hpp"
#include "registers.hpp"
#include "unwinding.hpp"
#include "vectors.hpp"

#include <coir/fiber.hpp>
#include <coir/run.hpp>
#include <coir/this_fiber.hpp>

#include <cerrno>
#include <cfenv>
#include <exception>

namespace selftest {
namespace {

void yield(void* /*unused*/) {
    coir::this_fiber::yield();
}

/// Two fibers take turns at `function(number)`.
template <class Function> void run_two(const Function& function) {
    coir::run([&] {
        coir::fiber<void> one = coir::spawn(function, 1);
        coir::fiber<void> other = coir::spawn(function, 2);
        one.join();
        other.join();
    });
}

finding check_preserved_registers(bool spoiled) {
    unsigned lost = 0;
    run_two([&](int number) {
        for (int i = 0; i < 100; ++i)
            lost |= selftest_fill_call_compare(yield, nullptr, register_seed(static_cast<unsigned>(number), i),
                                               spoiled ? 1 : 0);
    });
    return registers_kept(lost);
}

finding check_vectors(bool spoiled) {
    using vector = int __attribute__((vector_size(16)));
    bool kept = true;
    run_two(
        [&](int number) { kept = keeps_vectors<vector>([] { coir::this_fiber::yield(); }, number, spoiled) && kept; });
    return holds_if(kept, "of 16 bytes", "a value has changed");
}

finding check_rounding(bool spoiled) {
    bool kept = true;
    run_two([&](int number) {
        const int mode = number == 1 ? FE_UPWARD : FE_DOWNWARD;
        std::fesetround(mode);
        for (int i = 0; i < 10; ++i) {
            coir::this_fiber::yield();
            if (spoiled)
                std::fesetround(FE_TONEAREST);
            kept = kept && std::fegetround() == mode;
        }
    });
    kept = kept && std::fegetround() == FE_TONEAREST;
    return holds_if(kept, "each has its own", "one fiber's is seen by another");
}

/// What `throw;` would throw.
int current_number() {
    try {
        throw;
    } catch (int number) {
        return number;
    }
}

finding check_catch(bool spoiled) {
    bool right = true;
    run_two([&](int number) {
        try {
            throw number;
        } catch (int) {
            for (int i = 0; i < 10; ++i) {
                coir::this_fiber::yield();
                try {
                    throw 0;
                } catch (int) {
                    right = right && current_number() == (spoiled ? number : 0);
                    coir::this_fiber::yield();
                }
                right = right && current_number() == number;
            }
        }
        right = right && !std::current_exception();
    });
    return holds_if(right, "throw; finds its own", "an exception of one fiber is seen by another");
}

finding check_errno(bool spoiled) {
    bool kept = true;
    run_two([&](int number) {
        errno = number;
        for (int i = 0; i < 10; ++i) {
            coir::this_fiber::yield();
            if (spoiled)
                errno = 0;
            kept = kept && errno == number;
        }
    });
    return holds_if(kept, "each has its own", "one fiber's is seen by another");
}

trace trace_in_fiber(int depth) {
    return coir::run([&] {
        return coir::spawn([&] {
                   coir::this_fiber::yield();
                   return trace_at(depth);
               })
            .join();
    });
}

finding check_backtrace(bool spoiled) {
    return check_traces(trace_in_fiber, spoiled);
}

constexpr duty duties[] = {
    {"preserved_registers_in_fiber", "registers that a call preserves", check_preserved_registers},
    {"vectors_in_fiber", "vector values across a switch", check_vectors},
    {"rounding_in_fiber", "rounding mode", check_rounding},
    {"yield_in_catch", "switch in a catch block", check_catch},
    {"errno", "errno", check_errno},
    {"backtrace_in_fiber", "backtrace ends at the entry", check_backtrace},
};

} // namespace

std::span<const duty> fiber_duties() {
    return duties;
}

} // namespace selftest
