// What single_step_gdb.py steps through: the first switch to a stack, switches in both directions with equal and with
// different control words, and the last one. All preserved registers have values of their own on each side.

#include "selftest/registers.hpp" // and its assembler

#include <coir/context.hpp>

#include <array>
#include <cfenv>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <unwind.h>

/// What this program's own unwinder sees when SIGUSR1 interrupts it: read by single_step_gdb.py.
extern "C" {
struct seen_frame {
    std::uintptr_t instruction;
    std::uintptr_t stack_pointer;
};
std::array<seen_frame, 100> seen_frames;
std::size_t seen_count = 0;
int seen_end = 0;
}

namespace {

using coir::context;

_Unwind_Reason_Code add_frame(_Unwind_Context* frame, void* /*argument*/) {
    if (seen_count == seen_frames.size())
        return _URC_FOREIGN_EXCEPTION_CAUGHT; // runs away
    if (_Unwind_GetIP(frame) != 0)            // libgcc calls once more for "no caller"
        seen_frames[seen_count++] = {_Unwind_GetIP(frame), _Unwind_GetCFA(frame)};
    return _URC_NO_REASON;
}

void look(int /*signal*/) {
    seen_count = 0;
    seen_end = _Unwind_Backtrace(add_frame, nullptr);
}

unsigned lost = 0;

void suspend(void* self) {
    static_cast<context::self*>(self)->suspend();
}

void resume(void* other) {
    static_cast<context*>(other)->resume();
}

void inside_function(context::self& self) {
    lost |= selftest_fill_call_compare(suspend, &self, 0x1111'0000, 0);
    std::fesetround(FE_UPWARD);
    lost |= selftest_fill_call_compare(suspend, &self, 0x2222'0000, 0);
}

} // namespace

int main() {
    std::signal(SIGUSR1, look);
    look(0); // the first backtrace of a process allocates
    context inside{inside_function};
    for (std::uint64_t turn = 3; !inside.done(); ++turn)
        lost |= selftest_fill_call_compare(resume, &inside, turn << 32, 0);
    return lost == 0 ? 0 : 1;
}
