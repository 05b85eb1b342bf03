// What the ABI says a call preserves, a switch preserves: filled in assembler, since a compiler might not use them all.

#include "selftest/registers.hpp" // and its assembler

#include <coir/context.hpp>

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <vector>

namespace {

using coir::context;

void suspend(void* self) {
    static_cast<context::self*>(self)->suspend();
}

void resume(void* other) {
    static_cast<context*>(other)->resume();
}

bool are_known() {
    return *selftest_preserved_registers != '\0';
}

TEST(registers, are_preserved_across_suspend_and_resume) {
    if (!are_known())
        GTEST_SKIP() << "there is no assembler for this architecture that could look";
    unsigned lost_inside = 0;
    context inside{[&](context::self& self) {
        for (std::uint64_t i = 0; i < 100; ++i)
            lost_inside |= selftest_fill_call_compare(suspend, &self, 0xAAAA'0000'0000'0000 + i * 1000, 0);
    }};
    unsigned lost_outside = 0;
    for (std::uint64_t i = 0; !inside.done(); ++i)
        lost_outside |= selftest_fill_call_compare(resume, &inside, 0x5555'0000'0000'0000 + i * 1000, 0);
    EXPECT_EQ(lost_inside, 0U);
    EXPECT_EQ(lost_outside, 0U);
}

TEST(registers, are_preserved_when_many_contexts_take_turns) {
    if (!are_known())
        GTEST_SKIP() << "there is no assembler for this architecture that could look";
    unsigned lost = 0;
    std::vector<context> contexts;
    for (std::uint64_t i = 0; i < 20; ++i)
        contexts.emplace_back([&lost, i](context::self& self) {
            for (std::uint64_t turn = 0; turn < 10 + i; ++turn)
                lost |= selftest_fill_call_compare(suspend, &self, (i + 1) << 40 | turn << 8, 0);
        });
    for (bool more = true; more;) {
        more = false;
        for (context& each : contexts)
            more |= !each.done() && each.resume();
    }
    EXPECT_EQ(lost, 0U);
}

#if defined(__x86_64__)

TEST(registers, direction_flag_is_clear_on_a_fresh_stack) {
    std::uint64_t flags = ~0ULL;
    context inside{[&](context::self& /*self*/) { asm volatile("pushfq\n\tpopq %0" : "=r"(flags)); }};
    inside.resume();
    EXPECT_EQ(flags >> 10 & 1, 0U);
}

#endif

[[gnu::noinline]] bool can_spill_vectors() {
#if defined(__x86_64__)
    alignas(16) std::array<char, 16> spilled{};
    asm volatile("movaps %%xmm0, %0" : "=m"(spilled)); // faults on an address that is not aligned
#endif
    return reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0)) % 16 == 0;
}

TEST(registers, stack_pointer_is_aligned_as_before_any_call) {
    for (int i = 0; i < 32; ++i) { // tops differ
        bool aligned = false;
        context inside{[&](context::self& self) {
            aligned = can_spill_vectors();
            self.suspend();
            aligned = aligned && can_spill_vectors();
        }};
        inside.resume();
        inside.resume();
        EXPECT_TRUE(aligned);
    }
}

// Whatever the compiler keeps in which register, or on the stack: values come back.
TEST(registers, local_values_are_preserved_in_vectors_and_integers) {
    bool right = true;
    context inside{[&](context::self& self) {
        std::array<double, 12> reals{};
        std::array<std::uint64_t, 12> integers{};
        for (std::size_t i = 0; i < reals.size(); ++i) {
            reals[i] = static_cast<double>(i) + 0.5;
            integers[i] = i * 0x0101'0101'0101'0101;
        }
        for (int turn = 0; turn < 10; ++turn) {
            self.suspend();
            for (std::size_t i = 0; i < reals.size(); ++i) {
                right = right && reals[i] == static_cast<double>(i) + 0.5 + turn;
                right = right && integers[i] == i * 0x0101'0101'0101'0101 + static_cast<std::uint64_t>(turn);
                reals[i] += 1;
                integers[i] += 1;
            }
        }
    }};
    double outside = 1;
    int turns = 0;
    while (inside.resume()) {
        outside *= 1.5;
        ++turns;
    }
    EXPECT_TRUE(right);
    EXPECT_EQ(turns, 10);
    EXPECT_EQ(outside, 57.6650390625);
}

} // namespace
