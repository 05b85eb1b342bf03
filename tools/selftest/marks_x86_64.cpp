#include "duty.hpp"
#include "loaded_library.hpp"

#include <coir/context.hpp>

#include <cstdint>

namespace selftest {
namespace {

constexpr std::uint32_t ibt = 1;
constexpr std::uint32_t shadow_stack = 2;

finding check_landing_pads(bool spoiled) {
    const std::uint32_t features = libcoir().features.value_or(0) & (spoiled ? ~ibt : ~0U);
    return holds_if((features & ibt) != 0, "the library is marked for IBT", "the library is not marked for IBT");
}

finding check_shadow_stack_mark(bool spoiled) {
    const std::uint32_t features = libcoir().features.value_or(0) | (spoiled ? shadow_stack : 0);
    return holds_if((features & shadow_stack) == 0, "the library does not promise what it does not do",
                    "the library is marked for shadow stacks, which its switch does not switch");
}

/// Of this thread; null if it has none. The instruction does nothing then, and on processors that do not know it.
std::uintptr_t shadow_stack_pointer() {
    std::uintptr_t pointer = 0;
    asm volatile("rdsspq %0" : "+r"(pointer));
    return pointer;
}

finding check_shadow_stack(bool /*spoiled*/) {
    if (shadow_stack_pointer() == 0)
        return absent("not active for this process");
    // The process dies here if that is not so.
    coir::context inside{[](coir::context::self& self) { self.suspend(); }};
    inside.resume();
    inside.resume();
    return {verdict::holds, "active, and a switch survives it"};
}

constexpr duty duties[] = {
    {"landing_pads", "landing pads", check_landing_pads},
    {"shadow_stack_mark", "shadow-stack mark", check_shadow_stack_mark},
    {"shadow_stack", "shadow stack", check_shadow_stack},
};

} // namespace

std::span<const duty> mark_duties() {
    return duties;
}

} // namespace selftest
