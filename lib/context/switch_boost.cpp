/// \file
/// The switch for architectures that have no file in asm/ yet: Boost.Context's `fcontext` under the interface of
/// frame.hpp. Chosen with -Dswitch=boost, and tested as thoroughly as our own.
///
/// fcontext hands over the suspended handle as the *return value on the other side*. Ours is written on the way out,
/// so every arrival, the first one included, begins by storing the handle where the one who left wants it.

#include "context/floating_point.hpp"
#include "context/frame.hpp"

#include <boost/context/detail/fcontext.hpp>

namespace fcontext = boost::context::detail;

namespace {

struct first_call {
    coir::detail::entry_function entry;
    void* argument;
};

void store_suspended(fcontext::transfer_t arrival) {
    *static_cast<void**>(arrival.data) = arrival.fctx;
}

// make_fcontext() has no room for an argument: the fresh stack is entered once to fetch it, and leaves at once.
[[gnu::no_sanitize("address")]] void begin(fcontext::transfer_t arrival) {
    const first_call call = *static_cast<first_call*>(arrival.data);
    store_suspended(fcontext::jump_fcontext(arrival.fctx, nullptr));
    call.entry(call.argument);
    __builtin_trap();
}

} // namespace

namespace coir::detail {

[[gnu::no_sanitize("address")]] void* make_first_frame(std::byte* bottom, std::byte* top, floating_point_control words,
                                                       entry_function entry, void* argument) {
    const floating_point_control callers = current_control_words();
    set_control_words(words); // fcontext gives a fresh stack the words of the moment
    first_call call{entry, argument};
    auto* fresh = fcontext::make_fcontext(top, static_cast<std::size_t>(top - bottom), begin);
    void* const suspended = fcontext::jump_fcontext(fresh, &call).fctx;
    set_control_words(callers);
    return suspended;
}

void tune_switch() noexcept {}

} // namespace coir::detail

extern "C" void coir_switch(void** suspended, void* resumed) {
    store_suspended(fcontext::jump_fcontext(resumed, static_cast<void*>(suspended)));
}
