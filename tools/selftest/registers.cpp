#include "registers.hpp"
#include "duty.hpp"

#include <coir/context.hpp>
#include <coir/fiber.hpp>
#include <coir/run.hpp>
#include <coir/this_fiber.hpp>

#include <cstdint>
#include <string_view>

namespace selftest {
namespace {

constexpr int turns = 100;

void suspend(void* self) {
    static_cast<coir::context::self*>(self)->suspend();
}

void resume(void* other) {
    static_cast<coir::context*>(other)->resume();
}

void yield(void* /*unused*/) {
    coir::this_fiber::yield();
}

/// Different in each register, each turn, and each execution.
std::uint64_t seed_of(unsigned execution, int turn) {
    return (std::uint64_t{execution} << 48) + static_cast<std::uint64_t>(turn) * 0x1'0000'1000;
}

std::string names_of(unsigned registers) {
    std::string result;
    std::string_view left = selftest_preserved_registers;
    for (; registers != 0 && !left.empty(); registers >>= 1) {
        const std::string_view name = left.substr(0, left.find(' '));
        left.remove_prefix(std::min(left.size(), name.size() + 1));
        if (registers % 2 != 0)
            result += ' ' + std::string{name};
    }
    return result;
}

finding check_preserved_registers(bool spoiled) {
    if (std::string_view{selftest_preserved_registers}.empty())
        return absent("there is no assembler for this architecture that could look");
    unsigned lost = 0;
    coir::context inside{[&](coir::context::self& self) {
        for (int i = 0; i < turns; ++i)
            lost |= selftest_fill_call_compare(suspend, &self, seed_of(1, i), spoiled ? 1 : 0);
    }};
    for (int i = 0; !inside.done(); ++i)
        lost |= selftest_fill_call_compare(resume, &inside, seed_of(2, i), 0);
    coir::run([&] {
        const auto yield_often = [&](unsigned execution) {
            for (int i = 0; i < turns; ++i)
                lost |= selftest_fill_call_compare(yield, nullptr, seed_of(execution, i), 0);
        };
        coir::fiber<void> one = coir::spawn(yield_often, 3U);
        coir::fiber<void> other = coir::spawn(yield_often, 4U);
        one.join();
        other.join();
    });
    return holds_if(lost == 0, selftest_preserved_registers, "lost:" + names_of(lost));
}

finding check_stack_alignment(bool spoiled) {
    unsigned worst = 0;
    for (int i = 0; i < 32; ++i) { // their tops differ
        coir::context inside{[&](coir::context::self& self) {
            worst |= selftest_stack_misalignment(spoiled ? 8 : 0);
            self.suspend();
            worst |= selftest_stack_misalignment(0);
        }};
        inside.resume();
        inside.resume();
    }
    return holds_if(worst == 0, "16 bytes", "off by " + std::to_string(worst) + " bytes");
}

constexpr duty duties[] = {
    {"preserved_registers", "registers that a call preserves", check_preserved_registers},
    {"stack_alignment", "stack alignment", check_stack_alignment},
};

} // namespace

std::span<const duty> register_duties() {
    return duties;
}

} // namespace selftest
