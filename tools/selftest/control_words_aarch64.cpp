#include "duty.hpp"

#include <coir/context.hpp>

#include <cstdint>

namespace selftest {
namespace {

constexpr std::uint64_t flush_to_zero = 1U << 24;

std::uint64_t fpcr() {
    std::uint64_t word = 0;
    asm volatile("mrs %0, fpcr" : "=r"(word));
    return word;
}

void set_fpcr(std::uint64_t word) {
    asm volatile("msr fpcr, %0" : : "r"(word));
}

finding check_flush_to_zero(bool spoiled) {
    bool inside_kept = true;
    coir::context inside{[&](coir::context::self& self) {
        set_fpcr(fpcr() | flush_to_zero);
        for (int i = 0; i < 3; ++i) {
            self.suspend();
            if (spoiled)
                set_fpcr(fpcr() & ~flush_to_zero);
            inside_kept = inside_kept && (fpcr() & flush_to_zero) != 0;
        }
    }};
    bool outside_kept = true;
    while (inside.resume())
        outside_kept = outside_kept && (fpcr() & flush_to_zero) == 0;
    return holds_if(inside_kept && outside_kept, "FPCR: FZ",
                    inside_kept ? "it leaks out of a context" : "it leaks into a context");
}

constexpr duty duties[] = {
    {"flush_to_zero", "denormal numbers", check_flush_to_zero},
};

} // namespace

std::span<const duty> control_word_duties() {
    return duties;
}

} // namespace selftest
