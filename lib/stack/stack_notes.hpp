#pragma once

#include <cstddef>
#include <vector>

#if defined(COIR_VALGRIND)
#include <valgrind/valgrind.h>
#endif
#if defined(COIR_ASAN)
#include <sanitizer/asan_interface.h>
#endif

namespace coir::detail {

/// What Valgrind and AddressSanitizer must be told of the memory of stacks (hazards D5, D7). Without them, at build time or
/// at run time, some instructions for each stack that is made.
class stack_notes {
public:
    stack_notes() = default;
    stack_notes(const stack_notes&) = delete;
    stack_notes& operator=(const stack_notes&) = delete;

    ~stack_notes() {
#if defined(COIR_VALGRIND)
        // Where there is no Valgrind for the machine, its header leaves nothing of this.
        for ([[maybe_unused]] const unsigned id : valgrind_ids_)
            VALGRIND_STACK_DEREGISTER(id);
#endif
    }

    /// [bottom, bottom + size) is a stack. Valgrind otherwise takes a switch to it for one huge frame, and what the
    /// frames on it hold for undefined.
    void add([[maybe_unused]] const std::byte* bottom, [[maybe_unused]] std::size_t size) {
#if defined(COIR_VALGRIND)
        if (RUNNING_ON_VALGRIND != 0)
            valgrind_ids_.push_back(VALGRIND_STACK_REGISTER(bottom, bottom + size));
#endif
    }

    /// The memory is about to be unmapped: what was poisoned when an execution ended there is no longer meant.
    static void forget([[maybe_unused]] const std::byte* memory, [[maybe_unused]] std::size_t bytes) {
#if defined(COIR_ASAN)
        __asan_unpoison_memory_region(memory, bytes);
#endif
    }

private:
    std::vector<unsigned> valgrind_ids_;
};

} // namespace coir::detail
