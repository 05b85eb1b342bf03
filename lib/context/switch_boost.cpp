/// \file
/// The switch for architectures that have no file in asm/ yet: Boost.Context's `fcontext` under the interface of
/// frame.hpp. Chosen with -Dswitch=boost, and tested as thoroughly as our own.
///
/// fcontext hands over the suspended handle as the *return value on the other side*. Ours is written on the way out,
/// so every arrival, the first one included, begins by storing the handle where the one who left wants it.
///
/// It preserves the floating-point control words on x86 but not on AArch64 or RISC-V (Boost 1.81), so they are kept here,
/// in the frame of the one who waits.

#include "context/floating_point.hpp"
#include "context/frame.hpp"

#include <boost/context/detail/fcontext.hpp>

#include <cstdint>

namespace fcontext = boost::context::detail;

namespace {

struct first_call {
    coir::detail::entry_function entry;
    void* argument;
    coir::detail::floating_point_control words;
};

void store_suspended(fcontext::transfer_t arrival) {
    *static_cast<void**>(arrival.data) = arrival.fctx;
}

// make_fcontext() has no room for an argument: the fresh stack is entered once to fetch it, and leaves at once.
[[gnu::no_sanitize("address")]] void begin(fcontext::transfer_t arrival) {
    const first_call call = *static_cast<first_call*>(arrival.data);
    store_suspended(fcontext::jump_fcontext(arrival.fctx, nullptr));
    coir::detail::set_control_words(call.words);
    call.entry(call.argument);
    __builtin_trap();
}

// x87 traps late: what has been raised here, where it is masked, would trap on the other side, where it may not be. fcontext loads
// that side's control word and leaves the status as it is. What is unmasked here is kept, to trap here.
void settle_exceptions() noexcept {
#if defined(__x86_64__) || defined(__i386__)
    constexpr unsigned raised = 0x3f;
    constexpr unsigned unmasked = 0x80;
    std::uint16_t status = 0;
    asm volatile("fnstsw %0" : "=m"(status));
    if ((status & raised) != 0 && (status & unmasked) == 0)
        asm volatile("fnclex");
#endif
}

} // namespace

namespace coir::detail {

[[gnu::no_sanitize("address")]] void* make_first_frame(std::byte* bottom, std::byte* top, floating_point_control words,
                                                       entry_function entry, void* argument) {
    first_call call{entry, argument, words};
    auto* fresh = fcontext::make_fcontext(top, static_cast<std::size_t>(top - bottom), begin);
    return fcontext::jump_fcontext(fresh, &call).fctx;
}

void tune_switch() noexcept {}

} // namespace coir::detail

extern "C" void coir_switch(void** suspended, void* resumed) noexcept {
    const coir::detail::floating_point_control words = coir::detail::current_control_words();
    settle_exceptions();
    store_suspended(fcontext::jump_fcontext(resumed, static_cast<void*>(suspended)));
    coir::detail::set_control_words(words);
}
