// A debugger, a profiler or an exception may look at any moment, also between two instructions of the switch: the callers
// must be right at each of them. The processor's trap flag stops after every instruction of coir_switch and coir_entry;
// the handler asks everybody who looks for callers.

#include "context/call_chain.hpp"
#include "context/frame.hpp"

#include <coir/context.hpp>

#include <gtest/gtest.h>

#if defined(__x86_64__) && !defined(COIR_SWITCH_BOOST) && !defined(COIR_ASAN) && !defined(COIR_TSAN)

#include <algorithm>
#include <array>
#include <cfenv>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <tuple>
#include <ucontext.h>
#include <utility>
#include <vector>

extern "C" bool coir_mxcsr_is_free_to_load;

namespace {

using coir::context;

/// What is seen at one instruction. A signal handler writes it.
struct stop {
    std::uintptr_t instruction;
    call_chain for_exceptions;
    call_chain for_backtrace;
    call_chain for_libunwind;
    call_chain of_frame_pointers;
};

std::array<stop, 1000> stops;
std::size_t stop_count = 0;

/// The stack of the context, and what an ordinary call sees on either side, from the function that calls the switch.
std::uintptr_t inside_low = 0;
std::uintptr_t inside_high = 0;
call_chain inside;
call_chain outside;

const std::uintptr_t switch_begin = address_of(coir_switch);
const std::uintptr_t entry_begin = address_of(coir_entry);
const std::uintptr_t entry_end = entry_begin + 16; // ud2 is at +10

bool in_entry(std::uintptr_t address) {
    return address >= entry_begin && address < entry_end;
}

/// coir_entry follows coir_switch, so what is in front of it is either that or padding.
bool in_switch(std::uintptr_t address) {
    return address >= switch_begin && address < entry_begin;
}

#if __has_include(<libunwind.h>)
const libunwind& the_libunwind() {
    static const libunwind library;
    return library;
}
#endif

void look(stop& here, ucontext_t& interrupted) {
    const auto frame_pointer = static_cast<std::uintptr_t>(interrupted.uc_mcontext.gregs[REG_RBP]);
    here.instruction = static_cast<std::uintptr_t>(interrupted.uc_mcontext.gregs[REG_RIP]);
    chain_for_exceptions(here.for_exceptions);
    here.for_exceptions.drop_through(here.instruction);
    chain_for_backtrace(here.for_backtrace);
    here.for_backtrace.drop_through(here.instruction);
    here.for_libunwind = here.for_exceptions;
#if __has_include(<libunwind.h>)
    if (the_libunwind().is_here()) {
        the_libunwind().chain(here.for_libunwind, interrupted, true);
        here.for_libunwind.drop_through(here.instruction);
    }
#endif
    chain_of_frame_pointers(here.of_frame_pointers, frame_pointer, inside_low, inside_high);
}

void on_trap(int /*signal*/, siginfo_t* /*information*/, void* interrupted) {
    auto& registers = *static_cast<ucontext_t*>(interrupted);
    const auto instruction = static_cast<std::uintptr_t>(registers.uc_mcontext.gregs[REG_RIP]);
    if ((in_switch(instruction) || in_entry(instruction)) && stop_count < stops.size())
        look(stops[stop_count++], registers);
}

void step(bool on) {
    if (on)
        asm volatile("pushfq\n\torq $0x100, (%%rsp)\n\tpopfq" : : : "memory", "cc");
    else
        asm volatile("pushfq\n\tandq $~0x100, (%%rsp)\n\tpopfq" : : : "memory", "cc");
}

/// Called through a pointer, so that no compiler makes one function of two calls.
void go_deep(context::self& self, int depth);
void (*volatile suspend_at_depth)(context::self&, int) = go_deep;

void go_deep(context::self& self, int depth) {
    if (depth > 0) {
        suspend_at_depth(self, depth - 1);
        asm volatile("" : : : "memory"); // no tail call
        return;
    }
    inside_low = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0)) - 1024;
    step(false);
    chain_for_exceptions(inside);
    std::fesetround(FE_UPWARD); // so that the switch has something to load as well
    step(true);
    self.suspend();
    self.suspend();
    asm volatile("" : : : "memory");
}

[[gnu::noinline]] void resume_three_times(context& other) {
    chain_for_exceptions(outside);
    step(true);
    other.resume();
    other.resume();
    other.resume();
    step(false);
}

enum class place { outside, fresh, entry, inside };

place place_of(const call_chain& callers) {
    if (callers.count == 0)
        return place::entry;
    if (!in_entry(callers.addresses[callers.count - 1]))
        return place::outside;
    return callers.count == 1 ? place::fresh : place::inside;
}

/// Those beyond the function that made `reference` with chain_for_exceptions(), which has called the switch elsewhere.
std::size_t common_callers(const call_chain& reference) {
    return reference.count - 2;
}

bool has_the_same_callers(const call_chain& chain, const call_chain& reference) {
    const std::size_t common = common_callers(reference);
    return chain.count > common &&
           std::equal(reference.addresses.begin() + 2, reference.addresses.begin() + reference.count,
                      chain.addresses.begin() + (chain.count - common));
}

/// Zeros would end any search for callers, right or wrong.
void leave_junk(context::self& /*self*/) {
    std::array<unsigned char, 30'000> junk;
    junk.fill(0x5a);
    asm volatile("" : : "r"(junk.data()) : "memory");
}

class single_step : public testing::TestWithParam<std::tuple<int, bool>> {
protected:
    void SetUp() override {
        coir::context{leave_junk}.resume(); // on the stack that the test is given
        coir_mxcsr_is_free_to_load = std::get<1>(GetParam());
        call_chain warm_up;
        chain_for_exceptions(warm_up); // the first one of a process allocates
        chain_for_backtrace(warm_up);
#if __has_include(<libunwind.h>)
        ucontext_t here;
        ::getcontext(&here);
        if (the_libunwind().is_here())
            the_libunwind().chain(warm_up, here, false);
#endif
        struct sigaction handler {};
        handler.sa_sigaction = on_trap;
        handler.sa_flags = SA_SIGINFO;
        ASSERT_EQ(::sigaction(SIGTRAP, &handler, &before_), 0);
        stop_count = 0;
    }
    void TearDown() override {
        ::sigaction(SIGTRAP, &before_, nullptr);
        coir::detail::tune_switch();
    }

    struct sigaction before_ {};
};

TEST_P(single_step, callers_are_right_at_every_instruction) {
    const int depth = std::get<0>(GetParam());
    {
        context other{[depth](context::self& self) {
            inside_high = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0)) + 1024;
            suspend_at_depth(self, depth);
        }};
        resume_three_times(other);
    }
    ASSERT_LT(stop_count, stops.size());
    ASSERT_TRUE(inside.ends && in_entry(inside.addresses[inside.count - 1]));
    constexpr std::size_t last_switch_inside = 12; // of `places`: the function is done, somebody else calls the switch

    std::set<std::uintptr_t> instructions;
    std::vector<place> places; // without repetition
    std::set<std::size_t>
        counts_inside; // callers that are not common: this function and what the library has in between
    std::set<std::size_t> counts_outside;
    int walked = 0;
    for (std::size_t i = 0; i < stop_count; ++i) {
        const stop& here = stops[i];
        const call_chain& callers = here.for_exceptions;
        const bool entry = in_entry(here.instruction);
        const std::string where = (entry ? "coir_entry+" : "coir_switch+") +
                                  std::to_string(here.instruction - (entry ? entry_begin : switch_begin));
        instructions.insert(here.instruction);
        EXPECT_TRUE(callers.ends) << where;
        EXPECT_TRUE(here.for_backtrace == callers) << where << ", backtrace()";
        EXPECT_TRUE(here.for_libunwind == callers) << where << ", libunwind";

        const place now = place_of(callers);
        EXPECT_EQ(now == place::entry, entry) << where;
        if (here.instruction == switch_begin || places.empty() || places.back() != now)
            places.push_back(now);
        if (now == place::inside && places.size() < last_switch_inside) {
            EXPECT_TRUE(has_the_same_callers(callers, inside)) << where;
            counts_inside.insert(callers.count - common_callers(inside));
            // Which do not know the caller of a function without a frame, and change stacks at another instruction.
            walked += here.of_frame_pointers.count != 0;
            EXPECT_TRUE(here.of_frame_pointers.count == 0 ||
                        (here.of_frame_pointers.ends && here.of_frame_pointers.count == callers.count - 1))
                << where << ": " << here.of_frame_pointers.count << " frame pointers of " << callers.count;
        } else if (now == place::outside) {
            EXPECT_TRUE(has_the_same_callers(callers, outside)) << where;
            counts_outside.insert(callers.count - common_callers(outside));
        }
    }

    // Each switch changes stacks at one instruction.
    using enum place;
    EXPECT_EQ(places, (std::vector{outside, fresh, entry, inside, outside, outside, inside, inside, outside, outside,
                                   inside, inside, outside}));
    EXPECT_EQ(counts_inside.size(), 1U);
    EXPECT_EQ(counts_outside.size(), 1U);
    EXPECT_GE(instructions.size(), 30U);
    EXPECT_GE(walked, 30);
}

TEST_P(single_step, depth_is_a_frame_each) {
    const auto callers_at = [](int depth) {
        context other{[depth](context::self& self) { suspend_at_depth(self, depth); }};
        other.resume();
        other.resume();
        other.resume();
        step(false);
        return inside.count;
    };
    EXPECT_EQ(callers_at(50), callers_at(1) + 49);
}

INSTANTIATE_TEST_SUITE_P(of, single_step, testing::Combine(testing::Values(1, 50), testing::Bool()));

} // namespace

#else

TEST(single_step, callers_are_right_at_every_instruction) {
    GTEST_SKIP() << "needs x86-64's trap flag, our own switch, and no sanitizer; elsewhere: single_step_gdb.py";
}

#endif
