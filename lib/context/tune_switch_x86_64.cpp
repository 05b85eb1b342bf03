#include "base/diagnostic.hpp"
#include "base/remembered.hpp"
#include "context/frame.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>

/// \file
/// Which of the two ways to keep MXCSR is the faster one on this processor (asm/x86_64_sysv.S): found out by trying, as
/// the difference is large (50 ns against 4 on Sapphire Rapids, 4 against 6 on Zen 5) and no feature bit tells.

extern "C" {
/// In asm/x86_64_sysv.S.
extern bool coir_mxcsr_is_free_to_load;
}

namespace coir::detail {
namespace {

constexpr int repetitions = 32;
constexpr int tries = 5;

/// The shortest of several: an interrupt makes one longer, nothing makes one shorter.
template <class Work> std::chrono::nanoseconds duration_of(Work work) {
    using clock = std::chrono::steady_clock;
    auto shortest = clock::duration::max();
    for (int i = 0; i < tries; ++i) {
        const clock::time_point start = clock::now();
        for (int j = 0; j < repetitions; ++j)
            work();
        shortest = std::min(shortest, clock::now() - start);
    }
    return shortest;
}

bool loads_faster_than_it_compares() {
    constexpr std::uint32_t inexact = 0x20;
    std::uint32_t before = 0;
    asm volatile("stmxcsr %0" : "=m"(before));
    const std::array<std::uint32_t, 2> different{before | inexact, before & ~inexact};
    std::uint32_t stored = 0;
    unsigned turn = 0;
    const auto loading = duration_of([&] {
        asm volatile("stmxcsr %0\n\tldmxcsr %1" : "=m"(stored) : "m"(different[turn++ % 2]));
    });
    const auto comparing = duration_of([&] {
        std::uint32_t read_back = 0;
        asm volatile("stmxcsr %0\n\tmovl %0, %1" : "=m"(stored), "=r"(read_back));
    });
    asm volatile("ldmxcsr %0" : : "m"(before));
    return loading < comparing;
}

/// Of this thread; 0 if it has none: the instruction does nothing then, nor does it on processors that do not know it.
std::uint64_t shadow_stack_pointer() {
    std::uint64_t pointer = 0;
    asm volatile("rdsspq %0" : "+r"(pointer));
    return pointer;
}

bool measure() noexcept {
    if (shadow_stack_pointer() != 0) {
        report("this process has shadow stacks (CET), which coir does not switch: its first switch would end it. "
               "GLIBC_TUNABLES=glibc.cpu.x86_shstk=off in the environment starts it without");
        std::abort();
    }
    const bool loads = loads_faster_than_it_compares();
    std::atomic_ref{coir_mxcsr_is_free_to_load}.store(loads, std::memory_order_relaxed);
    return loads;
}

} // namespace

void tune_switch() noexcept {
    // By the first thread that makes a loop or a context, before it switches. If two measure at once, the last one's word
    // counts, also for the one that switches already: either way is right.
    (void)remembered<measure>();
}

} // namespace coir::detail
