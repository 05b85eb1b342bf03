#include "duty.hpp"
#include "registers.hpp"
#include "unwinding.hpp"

#include <coir/fiber.hpp>
#include <coir/run.hpp>
#include <coir/this_fiber.hpp>

#include <cerrno>

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
    {"errno", "errno", check_errno},
    {"backtrace_in_fiber", "backtrace ends at the entry", check_backtrace},
};

} // namespace

std::span<const duty> fiber_duties() {
    return duties;
}

} // namespace selftest
