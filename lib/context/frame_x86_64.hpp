#pragma once

#include "context/entry.hpp"

#include <coir/detail/floating_point_control.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>

namespace coir::detail {

/// The picture of asm/x86_64_sysv.S, field by field: written by coir_switch on suspension, read by it on resumption.
struct switch_frame {
    std::uint32_t mxcsr;
    std::uint16_t x87_control_word;
    std::uint16_t unused;
    void* r15;
    void* r14;
    void* r13;
    void* r12;
    void* rbx;
    void* rbp;
    void (*return_address)();
    void* no_caller[2];
};

static_assert(offsetof(switch_frame, mxcsr) == 0);
static_assert(offsetof(switch_frame, x87_control_word) == 4);
static_assert(offsetof(switch_frame, r15) == 8);
static_assert(offsetof(switch_frame, r14) == 16);
static_assert(offsetof(switch_frame, r13) == 24);
static_assert(offsetof(switch_frame, r12) == 32);
static_assert(offsetof(switch_frame, rbx) == 40);
static_assert(offsetof(switch_frame, rbp) == 48);
static_assert(offsetof(switch_frame, return_address) == 56);
static_assert(sizeof(switch_frame) == 80, "64 bytes above the handle is the stack pointer: aligned to 16");

inline void* make_first_frame(std::byte* /*bottom*/, std::byte* top, floating_point_control words, entry_function entry,
                              void* argument) {
    auto* frame = new (top - sizeof(switch_frame)) switch_frame{};
    frame->mxcsr = words.first;
    frame->x87_control_word = static_cast<std::uint16_t>(words.second);
    std::memcpy(&frame->r13, &entry, sizeof entry);
    frame->r12 = argument;
    frame->return_address = coir_entry;
    return frame;
}

} // namespace coir::detail
