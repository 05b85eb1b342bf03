#include "registers.hpp"
#include "duty.hpp"

#include <coir/context.hpp>

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

namespace selftest {
namespace {

void suspend(void* self) {
    static_cast<coir::context::self*>(self)->suspend();
}

void resume(void* other) {
    static_cast<coir::context*>(other)->resume();
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
    constexpr int turns = 100;
    unsigned lost = 0;
    coir::context inside{[&](coir::context::self& self) {
        for (int i = 0; i < turns; ++i)
            lost |= selftest_fill_call_compare(suspend, &self, register_seed(1, i), spoiled ? 1 : 0);
    }};
    for (int i = 0; !inside.done(); ++i)
        lost |= selftest_fill_call_compare(resume, &inside, register_seed(2, i), 0);
    return registers_kept(lost);
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

finding registers_kept(unsigned lost) {
    if (std::string_view{selftest_preserved_registers}.empty())
        return absent("there is no assembler for this architecture that could look");
    return holds_if(lost == 0, selftest_preserved_registers, "lost:" + names_of(lost));
}

std::span<const duty> register_duties() {
    return duties;
}

} // namespace selftest
