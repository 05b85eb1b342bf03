#pragma once

#include "context/entry.hpp"

#include <coir/detail/floating_point_control.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>

namespace coir::detail {

/// The picture of asm/riscv64_lp64d.S, field by field: written by coir_switch on suspension, read by it on resumption.
struct switch_frame {
    std::uint64_t rounding_mode;
    double fs11_to_fs0[12];
    void* s11_to_s3[9];
    void* s2;
    void* s1;
    void* s0;
    void (*ra)();
    void* no_caller[2];
};

static_assert(offsetof(switch_frame, rounding_mode) == 0);
static_assert(offsetof(switch_frame, fs11_to_fs0) == 8);
static_assert(offsetof(switch_frame, s11_to_s3) == 104);
static_assert(offsetof(switch_frame, s2) == 176);
static_assert(offsetof(switch_frame, s1) == 184);
static_assert(offsetof(switch_frame, s0) == 192);
static_assert(offsetof(switch_frame, ra) == 200);
static_assert(offsetof(switch_frame, no_caller) == 208, "the stack pointer at coir_entry");
static_assert(sizeof(switch_frame) % 16 == 0, "which is aligned as the top is");

inline void* make_first_frame(std::byte* /*bottom*/, std::byte* top, floating_point_control words, entry_function entry,
                              void* argument) {
    auto* frame = new (top - sizeof(switch_frame)) switch_frame{};
    frame->rounding_mode = words.first;
    std::memcpy(&frame->s2, &entry, sizeof entry);
    frame->s1 = argument;
    frame->ra = coir_entry;
    return frame;
}

inline void tune_switch() noexcept {}

} // namespace coir::detail
