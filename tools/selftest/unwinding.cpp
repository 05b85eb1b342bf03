#include "unwinding.hpp"
#include "duty.hpp"
#include "loaded_library.hpp"

#include <coir/context.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <execinfo.h>
#include <string>
#include <unwind.h>

namespace selftest {
namespace {

constexpr int most_frames = 500;

_Unwind_Reason_Code count_frame(_Unwind_Context* frame, void* argument) {
    auto& result = *static_cast<trace*>(argument);
    if (_Unwind_GetIP(frame) == 0)
        return _URC_NO_REASON; // "no caller" is reported like one
    result.outermost = _Unwind_GetIP(frame);
    return ++result.frames == most_frames ? _URC_NORMAL_STOP : _URC_NO_REASON;
}

[[gnu::noinline]] trace take_trace() {
    trace result;
    result.ends = _Unwind_Backtrace(count_frame, &result) == _URC_END_OF_STACK;
    std::array<void*, most_frames> addresses{};
    result.frames_for_libc = ::backtrace(addresses.data(), most_frames);
    return result;
}

/// What a stack held before must not matter: the next context gets this one.
void leave_junk_behind() {
    coir::context{[](coir::context::self& /*self*/) {
        constexpr std::size_t size = std::size_t{64} * 1024;
        auto* memory = static_cast<volatile unsigned char*>(__builtin_alloca(size));
        for (std::size_t i = 0; i < size; ++i)
            memory[i] = 0xCC;
    }}.resume();
}

trace trace_in_context(int depth) {
    leave_junk_behind();
    trace result;
    coir::context inside{[&](coir::context::self& self) {
        self.suspend();
        result = trace_at(depth);
    }};
    inside.resume();
    inside.resume();
    return result;
}

/// Both are traces of the same place, `more` calls apart.
std::string what_is_wrong(const trace& shallow, const trace& deep, int more) {
    if (!shallow.ends || !deep.ends)
        return "does not end";
    if (!library_of_entry().contains(deep.outermost))
        return "ends, but not in " + library_of_entry().path;
    if (deep.frames != shallow.frames + more || deep.frames_for_libc != shallow.frames_for_libc + more)
        return std::to_string(deep.frames - shallow.frames) + " frames for " + std::to_string(more) + " calls";
    return {};
}

finding check_in_context(bool spoiled) {
    return check_traces(trace_in_context, spoiled);
}

constexpr duty duties[] = {
    {"backtrace_in_context", "ends at the entry, in a context", check_in_context},
};

} // namespace

[[gnu::noinline]] trace trace_at(int depth) { // NOLINT(misc-no-recursion)
    const trace result = depth > 0 ? trace_at(depth - 1) : take_trace();
    asm volatile("" : : : "memory"); // a frame of its own: no tail call
    return result;
}

finding check_traces(trace (*take)(int depth), bool spoiled) {
    constexpr int more = 40;
    const trace shallow = take(1);
    const trace deep = take(1 + more + (spoiled ? 1 : 0));
    const std::string wrong = what_is_wrong(shallow, deep, more);
    return holds_if(wrong.empty(), "after " + std::to_string(deep.frames) + " frames, inside the library", wrong);
}

std::span<const duty> unwinding_duties() {
    return duties;
}

} // namespace selftest
