#pragma once

#include "context/entry.hpp"

#include <coir/detail/floating_point_control.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>

namespace coir::detail {

/// The picture of asm/aarch64_aapcs64.S, field by field: written by coir_switch on suspension, read by it on resumption.
struct switch_frame {
    void* x29;
    void (*x30)(); // signed
    void* x19;
    void* x20;
    void* x21_to_x28[8];
    double d8_to_d15[8];
    std::uint64_t fpcr;
    std::uint64_t unused;
    void* no_caller[2];
};

static_assert(offsetof(switch_frame, x29) == 0);
static_assert(offsetof(switch_frame, x30) == 8);
static_assert(offsetof(switch_frame, x19) == 16);
static_assert(offsetof(switch_frame, x20) == 24);
static_assert(offsetof(switch_frame, x21_to_x28) == 32);
static_assert(offsetof(switch_frame, d8_to_d15) == 96);
static_assert(offsetof(switch_frame, fpcr) == 160);
static_assert(offsetof(switch_frame, no_caller) == 176, "the stack pointer at coir_entry");
static_assert(sizeof(switch_frame) % 16 == 0, "which is aligned as the top is");

using code_address = void (*)();

/// What coir_switch authenticates: `address`, signed with key A for the stack pointer that it will be reached with.
/// `hint #8` is pacia1716, which does nothing on a processor without pointer authentication.
[[nodiscard]] inline code_address signed_return_address(code_address address, const void* stack_pointer) {
    asm("mov x17, %0\n\t"
        "mov x16, %1\n\t"
        "hint #8\n\t"
        "mov %0, x17"
        : "+r"(address)
        : "r"(stack_pointer)
        : "x16", "x17");
    return address;
}

inline void* make_first_frame(std::byte* /*bottom*/, std::byte* top, floating_point_control words, entry_function entry,
                              void* argument) {
    auto* frame = new (top - sizeof(switch_frame)) switch_frame{};
    frame->x30 = signed_return_address(coir_entry, frame->no_caller);
    frame->x19 = argument;
    std::memcpy(&frame->x20, &entry, sizeof entry);
    frame->fpcr = words.first;
    return frame;
}

inline void tune_switch() noexcept {}

} // namespace coir::detail
