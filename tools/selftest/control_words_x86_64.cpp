#include "duty.hpp"

#include <coir/context.hpp>

#include <cstdint>

namespace selftest {
namespace {

constexpr std::uint32_t denormals_are_zero = 0x0040;
constexpr std::uint32_t flush_to_zero = 0x8000;
constexpr std::uint16_t x87_precision = 0x0300; // two bits, both set: 64 bits of precision

std::uint32_t mxcsr() {
    std::uint32_t word = 0;
    asm volatile("stmxcsr %0" : "=m"(word));
    return word;
}

void set_mxcsr(std::uint32_t word) {
    asm volatile("ldmxcsr %0" : : "m"(word));
}

std::uint16_t x87_control() {
    std::uint16_t word = 0;
    asm volatile("fnstcw %0" : "=m"(word));
    return word;
}

void set_x87_control(std::uint16_t word) {
    asm volatile("fldcw %0" : : "m"(word));
}

finding check_flush_to_zero(bool spoiled) {
    constexpr std::uint32_t both = flush_to_zero | denormals_are_zero;
    bool inside_kept = true;
    coir::context inside{[&](coir::context::self& self) {
        set_mxcsr(mxcsr() | both);
        for (int i = 0; i < 3; ++i) {
            self.suspend();
            if (spoiled)
                set_mxcsr(mxcsr() & ~flush_to_zero);
            inside_kept = inside_kept && (mxcsr() & both) == both;
        }
    }};
    bool outside_kept = true;
    while (inside.resume())
        outside_kept = outside_kept && (mxcsr() & both) == 0;
    return holds_if(inside_kept && outside_kept, "MXCSR: FTZ, DAZ",
                    inside_kept ? "it leaks out of a context" : "it leaks into a context");
}

finding check_x87_precision(bool spoiled) {
    const std::uint16_t before = x87_control();
    const auto single = static_cast<std::uint16_t>(before & ~x87_precision);
    bool inside_kept = true;
    coir::context inside{[&](coir::context::self& self) {
        set_x87_control(single);
        for (int i = 0; i < 3; ++i) {
            self.suspend();
            if (spoiled)
                set_x87_control(before);
            inside_kept = inside_kept && x87_control() == single;
        }
    }};
    bool outside_kept = true;
    while (inside.resume())
        outside_kept = outside_kept && x87_control() == before;
    return holds_if(inside_kept && outside_kept, "x87 control word",
                    inside_kept ? "it leaks out of a context" : "it leaks into a context");
}

constexpr duty duties[] = {
    {"flush_to_zero", "denormal numbers", check_flush_to_zero},
    {"x87_precision", "precision of long double", check_x87_precision},
};

} // namespace

std::span<const duty> control_word_duties() {
    return duties;
}

} // namespace selftest
