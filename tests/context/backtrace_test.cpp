// A backtrace of a context shows its functions, and ends where its stack begins (hazard A7).

#include "context/frame.hpp"

#include <coir/context.hpp>

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <execinfo.h>
#include <unwind.h>
#include <vector>

namespace {

using coir::context;

struct trace {
    std::vector<std::uintptr_t> addresses;
    std::uintptr_t last_function = 0;
    _Unwind_Reason_Code end = _URC_NO_REASON;
};

_Unwind_Reason_Code add_frame(_Unwind_Context* frame, void* argument) {
    auto& result = *static_cast<trace*>(argument);
    if (result.addresses.size() == 1000)
        return _URC_END_OF_STACK; // runs away
    if (_Unwind_GetIP(frame) == 0)
        return _URC_NO_REASON; // libgcc calls once more for "no caller"
    result.addresses.push_back(_Unwind_GetIP(frame));
    result.last_function = _Unwind_GetRegionStart(frame);
    return _URC_NO_REASON;
}

[[gnu::noinline]] trace take_trace() {
    trace result;
    result.end = _Unwind_Backtrace(add_frame, &result);
    return result;
}

[[gnu::noinline]] int frames_that_libc_sees() {
    std::array<void*, 1000> addresses{};
    return ::backtrace(addresses.data(), static_cast<int>(addresses.size()));
}

[[gnu::noinline]] int backtrace_at_depth(int depth, trace& result, int& frames) { // NOLINT(misc-no-recursion)
    if (depth > 0) {
        const int deeper = backtrace_at_depth(depth - 1, result, frames);
        asm volatile("" : : "r"(deeper) : "memory"); // a frame of its own: no tail call
        return deeper + 1;
    }
    result = take_trace();
    frames = frames_that_libc_sees();
    return 0;
}

/// What the memory above, and of earlier frames, holds must not matter.
void fill_with_junk(context::self& /*self*/) {
    auto* memory = static_cast<volatile unsigned char*>(__builtin_alloca(100 * 1024));
    for (int i = 0; i < 100 * 1024; ++i)
        memory[i] = 0xCC;
}

trace trace_in_context(int depth, int& frames) {
    trace result;
    context inside{[&](context::self& /*self*/) { backtrace_at_depth(depth, result, frames); }};
    inside.resume();
    return result;
}

#if !defined(COIR_SWITCH_BOOST) // whose entry has no description for unwinders on all architectures

TEST(backtrace, ends_at_coir_entry) {
    for (const int depth : {1, 50}) {
        int frames = 0;
        const trace result = trace_in_context(depth, frames);
        EXPECT_EQ(result.end, _URC_END_OF_STACK);
        std::uintptr_t entry = 0;
        void (*const function)() = coir_entry;
        std::memcpy(&entry, &function, sizeof entry);
        EXPECT_GE(result.addresses.back(), entry);
        EXPECT_LT(result.addresses.back(), entry + 32);
        EXPECT_NE(result.last_function, 0U); // the unwinder knew where it was
    }
}

#endif

TEST(backtrace, has_a_frame_for_each_call_and_no_more) {
    int frames_at_1 = 0;
    const trace at_1 = trace_in_context(1, frames_at_1);
    for (const int depth : {2, 10, 50}) {
        int frames = 0;
        const trace result = trace_in_context(depth, frames);
        EXPECT_EQ(result.addresses.size(), at_1.addresses.size() + static_cast<std::size_t>(depth) - 1);
        EXPECT_EQ(frames, frames_at_1 + depth - 1);
    }
    EXPECT_LT(at_1.addresses.size(), 16U);
}

#if (defined(__aarch64__) || defined(__riscv)) && !defined(COIR_SWITCH_BOOST)

struct frame_record { // AAPCS64, "The Frame Pointer"; RISC-V ELF psABI, "Frame Pointer Convention"
    const void* caller;
    const void* return_address;
};

/// Where the record is that belongs to a frame pointer.
const frame_record* record_of(const void* frame_pointer) {
#if defined(__riscv)
    if (frame_pointer) // which is one past it
        return static_cast<const frame_record*>(frame_pointer) - 1;
#endif
    return static_cast<const frame_record*>(frame_pointer);
}

/// Calls that a walk along the frame pointers sees, as the kernel's profiler walks.
[[gnu::noinline]] std::size_t frame_records(const void* youngest) {
    std::size_t count = 0;
    for (const frame_record* record = record_of(youngest); record && count < 1000; record = record_of(record->caller))
        ++count;
    return count;
}

[[gnu::noinline]] std::size_t frame_records_at_depth(int depth) { // NOLINT(misc-no-recursion)
    if (depth == 0)
        return frame_records(__builtin_frame_address(0));
    const std::size_t count = frame_records_at_depth(depth - 1);
    asm volatile("" : : "r"(count) : "memory");
    return count;
}

TEST(backtrace, by_frame_pointers_has_a_record_for_each_call_and_ends) {
    const auto count_in_context = [](int depth) {
        { context{fill_with_junk}.resume(); }
        std::size_t count = 0;
        context inside{[&](context::self& /*self*/) { count = frame_records_at_depth(depth); }};
        inside.resume();
        return count;
    };
    const std::size_t at_1 = count_in_context(1);
    EXPECT_LT(at_1, 16U);
    for (const int depth : {2, 10, 50})
        EXPECT_EQ(count_in_context(depth), at_1 + static_cast<std::size_t>(depth) - 1);
}

#endif

TEST(backtrace, does_not_depend_on_what_the_stack_held_before) {
    int clean_frames = 0;
    const trace clean = trace_in_context(5, clean_frames);
    for (int i = 0; i < 3; ++i) {
        { context{fill_with_junk}.resume(); } // the next one gets its stack
        int frames = 0;
        const trace result = trace_in_context(5, frames);
        EXPECT_EQ(result.end, clean.end);
        EXPECT_EQ(result.addresses.size(), clean.addresses.size());
        EXPECT_EQ(frames, clean_frames);
    }
}

TEST(backtrace, of_a_context_that_was_suspended_does_not_show_who_resumed_it) {
    trace before;
    trace after;
    context inside{[&](context::self& self) {
        before = take_trace();
        self.suspend();
        after = take_trace();
    }};
    inside.resume();
    context other{[&](context::self& /*self*/) { inside.resume(); }};
    other.resume();
    EXPECT_EQ(before.addresses.size(), after.addresses.size());
    EXPECT_EQ(before.addresses.back(), after.addresses.back());
}

TEST(backtrace, outside_is_not_changed_by_a_context) {
    const trace before = take_trace();
    context inside{[](context::self& self) { self.suspend(); }};
    inside.resume();
    const trace after = take_trace();
    EXPECT_EQ(before.addresses.size(), after.addresses.size());
    EXPECT_EQ(before.end, after.end);
}

} // namespace
