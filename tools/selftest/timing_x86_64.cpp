#include "bare_switch_x86_64.hpp"
#include "timing.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <new>

extern "C" {
using switch_variant = void(void** suspended, void* resumed);
switch_variant selftest_switch_called;
switch_variant selftest_switch_registers;
switch_variant selftest_switch_x87;
switch_variant selftest_switch_mxcsr_compared;
switch_variant selftest_switch_mxcsr_loaded;
}

namespace selftest {
namespace {

alignas(64) std::array<std::byte, std::size_t{32} * 1024> other_stack;

// --- A function that is called ---

/// The picture in asm/x86_64_sysv.S.
struct frame {
    std::uint32_t mxcsr = 0;
    std::uint16_t x87_control_word = 0;
    std::uint16_t unused = 0;
    std::array<void*, 6> registers{};
    void (*return_address)() = nullptr;
    void* no_caller = nullptr; // the stack pointer is here at the entry: 8 off a multiple of 16
};
static_assert(sizeof(frame) == 72);

void* here;
void* there;

template <switch_variant Variant> void go_back_for_ever() {
    for (;;)
        Variant(&there, here);
}

constexpr std::uint32_t inexact = 0x20;

/// `flags` are the sticky ones of the other side; this side has none.
template <switch_variant Variant> double measure(std::uint32_t flags = 0) {
    auto* first = new (other_stack.data() + other_stack.size() - 8 - sizeof(frame)) frame;
    std::uint32_t mxcsr = 0;
    asm volatile("stmxcsr %0" : "=m"(mxcsr));
    asm volatile("fnstcw %0" : "=m"(first->x87_control_word));
    mxcsr &= ~std::uint32_t{0x3f};
    asm volatile("ldmxcsr %0" : : "m"(mxcsr));
    first->mxcsr = mxcsr | flags;
    first->return_address = go_back_for_ever<Variant>;
    there = first;
    return nanoseconds_per_switch([] { Variant(&here, there); });
}

// --- One that is not ---

bare_execution outside;
bare_execution inside;

void go_back_bare_for_ever() {
    for (;;)
        bare_switch(inside, outside);
}

double measure_bare() {
    inside = {other_stack.data() + other_stack.size() - 8, go_back_bare_for_ever};
    return nanoseconds_per_switch([] { bare_switch(outside, inside); });
}

} // namespace

std::vector<timing> timings_of_variants() {
    return {
        {"bare", "stack pointer, inlined", measure_bare()},
        {"called", "stack pointer, in a function", measure<selftest_switch_called>()},
        {"registers", "+ registers that a call preserves", measure<selftest_switch_registers>()},
        {"x87", "+ x87 control word", measure<selftest_switch_x87>()},
        {"mxcsr_compared", "+ MXCSR, its control bits compared", measure<selftest_switch_mxcsr_compared>()},
        {"mxcsr_loaded", "  or MXCSR, loaded each time", measure<selftest_switch_mxcsr_loaded>()},
        {"mxcsr_loaded_rounded", "    one side has rounded a number", measure<selftest_switch_mxcsr_loaded>(inexact)},
    };
}

} // namespace selftest
