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

/// Calls selftest_switch_called(&selftest_there, selftest_here) for ever, and uses none of the registers that a call
/// preserves: that switch loses them, which the compiler does not expect.
void selftest_go_back_called();

extern void* selftest_here;
extern void* selftest_there;
void* selftest_here;
void* selftest_there;
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

template <switch_variant Variant> void go_back_for_ever() {
    for (;;)
        Variant(&selftest_there, selftest_here);
}

constexpr std::uint32_t inexact = 0x20;

/// `Flags` are the sticky ones of the other side; this side has none.
template <switch_variant Variant, std::uint32_t Flags = 0, void (*GoBack)() = go_back_for_ever<Variant>>
double measure() {
    auto* first = new (other_stack.data() + other_stack.size() - 8 - sizeof(frame)) frame;
    std::uint32_t mxcsr = 0;
    asm volatile("stmxcsr %0" : "=m"(mxcsr));
    asm volatile("fnstcw %0" : "=m"(first->x87_control_word));
    mxcsr &= ~std::uint32_t{0x3f};
    asm volatile("ldmxcsr %0" : : "m"(mxcsr));
    first->mxcsr = mxcsr | Flags;
    first->return_address = GoBack;
    selftest_there = first;
    return nanoseconds_per_switch([] { Variant(&selftest_here, selftest_there); });
}

// --- One that is not ---

bare_execution outside;
bare_execution inside;

void go_back_bare_for_ever() {
    for (;;)
        bare_switch(inside, outside);
}

double measure_bare() {
    inside = {other_stack.data() + other_stack.size() - 8, go_back_bare_for_ever, nullptr};
    return nanoseconds_per_switch([] { bare_switch(outside, inside); });
}

constexpr timing timings[] = {
    {"bare", "stack and frame pointer, inlined", measure_bare},
    {"called", "stack pointer, in a function", measure<selftest_switch_called, 0, selftest_go_back_called>},
    {"registers", "+ registers that a call preserves", measure<selftest_switch_registers>},
    {"x87", "+ x87 control word", measure<selftest_switch_x87>},
    {"mxcsr_compared", "+ MXCSR, its control bits compared", measure<selftest_switch_mxcsr_compared>},
    {"mxcsr_loaded", "  or MXCSR, loaded each time", measure<selftest_switch_mxcsr_loaded>},
    {"mxcsr_loaded_rounded", "    one side has rounded a number", measure<selftest_switch_mxcsr_loaded, inexact>},
};

} // namespace

std::span<const timing> timings_of_variants() {
    return timings;
}

} // namespace selftest
