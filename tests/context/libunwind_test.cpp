// libunwind, which profilers ask, finds a frame for each call on a stack of ours, and ends where the stack begins
// (hazard A7). At the single instructions of the switch it is asked by single_step_test.cpp.

#include "context/call_chain.hpp"
#include "context/floating_point.hpp"
#include "context/frame.hpp"

#include <coir/context.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <ucontext.h>

// libunwind 1.6, Debian 12's, ends at every function that signs its return address, whoever's it is: it does not know the
// directive that says so. Some compilers sign without being asked.
#if defined(__aarch64__)
#define COIR_UNSIGNED [[gnu::target("branch-protection=bti")]]
#define COIR_SIGNED [[gnu::target("branch-protection=pac-ret")]]
#else
#define COIR_UNSIGNED
#define COIR_SIGNED
#endif

namespace {

using coir::context;

const libunwind& the_libunwind() {
    static const libunwind library;
    return library;
}

/// The callers of one place. Each begins with addresses within those who ask: look(), and chain_for_exceptions() in front.
struct answers {
    call_chain of_libunwind;
    call_chain for_exceptions;

    [[nodiscard]] std::size_t outermost_that_libunwind_leaves_out() const {
        return for_exceptions.count - 1 - of_libunwind.count;
    }
    /// About the first `count` callers of look().
    [[nodiscard]] bool agree(std::size_t count) const {
        return of_libunwind.count > count &&
               std::equal(of_libunwind.addresses.begin() + 1, of_libunwind.addresses.begin() + 1 + count,
                          for_exceptions.addresses.begin() + 2);
    }
};

COIR_UNSIGNED [[gnu::noinline]] void look(answers& seen) {
    ucontext_t here;
    ::getcontext(&here);
    the_libunwind().chain(seen.of_libunwind, here, false);
    chain_for_exceptions(seen.for_exceptions);
}

COIR_UNSIGNED [[gnu::noinline]] void look_at_depth(int depth, answers& seen) { // NOLINT(misc-no-recursion)
    if (depth > 0)
        look_at_depth(depth - 1, seen);
    else
        look(seen);
    asm volatile("" : : : "memory"); // a frame of its own: no tail call
}

/// A stack that only the switch and its entry have to do with, and no function of the library.
class bare_stack {
public:
    bare_stack() { memory_.fill(std::byte{0xCC}); } // zeros would end any search for callers, right or wrong

    answers look_at(int depth) {
        depth_ = depth;
        inside_ = coir::detail::make_first_frame(memory_.data(), memory_.data() + memory_.size(),
                                                 coir::detail::current_control_words(), run, this);
        coir_switch(&outside_, inside_);
        return seen_;
    }

private:
    COIR_UNSIGNED static void run(void* argument) {
        auto& self = *static_cast<bare_stack*>(argument);
        look_at_depth(self.depth_, self.seen_);
        coir_switch(&self.inside_, self.outside_); // for good
    }

    alignas(16) std::array<std::byte, std::size_t{256} * 1024> memory_;
    void* outside_ = nullptr;
    void* inside_ = nullptr;
    int depth_ = 0;
    answers seen_{};
};

answers look_on_a_bare_stack(int depth) {
    static bare_stack stack;
    return stack.look_at(depth);
}

answers look_in_a_context(int depth) {
    answers seen{};
    context{[&](context::self& /*self*/) { look_at_depth(depth, seen); }}.resume();
    return seen;
}

COIR_SIGNED [[gnu::noinline]] void look_from_a_function_that_signs(answers& seen) {
    look(seen);
    asm volatile("" : : : "memory");
}

/// libunwind 1.8 on AArch64 does not show a function that has no caller, such as a program's first, _start. Others do.
bool shows_function_without_caller() {
    answers seen{};
    look(seen);
    return seen.outermost_that_libunwind_leaves_out() != 1;
}

void expect_a_frame_for_each_call(answers (*look_at)(int depth)) {
    const std::size_t left_out = shows_function_without_caller() ? 0 : 1;
    const std::size_t at_1 = look_at(1).of_libunwind.count;
    EXPECT_LT(at_1, 16U);
    for (const int depth : {1, 2, 10, 50}) {
        SCOPED_TRACE(depth);
        const answers seen = look_at(depth);
        const std::uintptr_t last = seen.for_exceptions.addresses[seen.for_exceptions.count - 1];
        EXPECT_GE(last, address_of(coir_entry));
        EXPECT_LT(last, address_of(coir_entry) + 32);
        EXPECT_TRUE(seen.of_libunwind.ends);
        EXPECT_EQ(seen.of_libunwind.count, at_1 + static_cast<std::size_t>(depth) - 1);
        EXPECT_EQ(seen.outermost_that_libunwind_leaves_out(), left_out);
        EXPECT_TRUE(seen.agree(seen.of_libunwind.count - 1));
    }
}

class libunwind_ends : public testing::Test {
protected:
    void SetUp() override {
        if (!the_libunwind().is_here())
            GTEST_SKIP() << "libunwind.so.8 cannot be loaded";
    }
};

TEST_F(libunwind_ends, at_coir_entry) {
    expect_a_frame_for_each_call(look_on_a_bare_stack);
}

TEST_F(libunwind_ends, at_coir_entry_behind_functions_of_the_library) {
    answers seen{};
    look_from_a_function_that_signs(seen);
    if (!seen.agree(2))
        GTEST_SKIP()
            << "this libunwind does not get past functions that sign their return addresses, as the library's do: "
            << seen.of_libunwind.count << " frames in a function of the test, on its thread's stack, that has "
            << seen.for_exceptions.count - 1;
    expect_a_frame_for_each_call(look_in_a_context);
}

} // namespace
