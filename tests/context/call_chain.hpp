#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <execinfo.h>
#include <unwind.h>

#if __has_include(<libunwind.h>)
#define UNW_LOCAL_ONLY
#include <dlfcn.h>
#include <libunwind.h>
#include <ucontext.h>
#endif

/// \file
/// The callers of a place, found by each of those who look for them: the unwinder of C++ exceptions, the C library's
/// backtrace(), libunwind, and the walk along frame pointers that the kernel does for a profiler. No memory is allocated, so
/// that a signal handler may look, too.

/// Addresses of instructions, innermost first.
struct call_chain {
    std::array<std::uintptr_t, 100> addresses;
    std::size_t count;
    bool ends; ///< the last one was known to have no caller

    void add(std::uintptr_t address) { addresses[count++] = address; }
    [[nodiscard]] bool full() const { return count == addresses.size(); }

    /// What follows `address`, for a chain that was taken in a signal handler: without the handler.
    void drop_through(std::uintptr_t address) {
        auto* const end = addresses.begin() + count;
        auto* const found = std::find(addresses.begin(), end, address);
        ends = ends && found != end;
        count = found == end
                    ? 0
                    : static_cast<std::size_t>(std::copy(found + 1, end, addresses.begin()) - addresses.begin());
    }

    [[nodiscard]] bool operator==(const call_chain& other) const {
        return ends == other.ends && std::equal(addresses.begin(), addresses.begin() + count, other.addresses.begin(),
                                                other.addresses.begin() + other.count);
    }
};

/// The function that contains `address`, or 0.
inline std::uintptr_t function_of(std::uintptr_t address) {
    void* pointer = nullptr;
    std::memcpy(&pointer, &address, sizeof address);
    return reinterpret_cast<std::uintptr_t>(::_Unwind_FindEnclosingFunction(pointer));
}

template <class Function> std::uintptr_t address_of(Function* function) {
    std::uintptr_t address = 0;
    std::memcpy(&address, &function, sizeof address);
    return address;
}

inline _Unwind_Reason_Code add_frame(_Unwind_Context* frame, void* argument) {
    auto& chain = *static_cast<call_chain*>(argument);
    if (chain.full())
        return _URC_NORMAL_STOP;
    if (_Unwind_GetIP(frame) != 0) // libgcc calls once more for "no caller"
        chain.add(_Unwind_GetIP(frame));
    return _URC_NO_REASON;
}

[[gnu::noinline]] inline void chain_for_exceptions(call_chain& chain) {
    chain.count = 0;
    chain.ends = ::_Unwind_Backtrace(add_frame, &chain) == _URC_END_OF_STACK;
}

[[gnu::noinline]] inline void chain_for_backtrace(call_chain& chain) {
    std::array<void*, std::tuple_size_v<decltype(chain.addresses)>> addresses{};
    const int count = ::backtrace(addresses.data(), static_cast<int>(addresses.size()));
    chain.count = 0;
    for (int i = 0; i < count; ++i)
        chain.add(reinterpret_cast<std::uintptr_t>(addresses[static_cast<std::size_t>(i)]));
    chain.ends = !chain.full();
}

/// As perf_callchain_user() in the kernel: pairs of the caller's frame pointer and the return address, for as long as there
/// is one. `low` to `high`: the stack; the kernel asks the page tables instead.
inline void chain_of_frame_pointers(call_chain& chain, std::uintptr_t frame_pointer, std::uintptr_t low,
                                    std::uintptr_t high) {
    struct frame_record {
        std::uintptr_t caller;
        std::uintptr_t return_address;
    };
    chain.count = 0;
    while (frame_pointer >= low && frame_pointer < high && high - frame_pointer >= sizeof(frame_record) &&
           !chain.full()) {
        frame_record record{};
        void* place = nullptr;
        std::memcpy(&place, &frame_pointer, sizeof place);
        std::memcpy(&record, place, sizeof record);
        chain.add(record.return_address);
        frame_pointer = record.caller;
    }
    chain.ends = frame_pointer == 0;
}

#if __has_include(<libunwind.h>)

/// Loaded, not linked: it also defines the functions of the exceptions' unwinder, which are to stay the compiler's own.
class libunwind {
public:
    libunwind() {
#define COIR_NAME_OF(symbol) COIR_STRING_OF(symbol)
#define COIR_STRING_OF(name) #name
        if (void* library = ::dlopen("libunwind.so.8", RTLD_NOW | RTLD_LOCAL)) {
            find(init_, library, COIR_NAME_OF(unw_init_local2));
            find(step_, library, COIR_NAME_OF(unw_step));
            find(get_register_, library, COIR_NAME_OF(unw_get_reg));
        }
#undef COIR_NAME_OF
#undef COIR_STRING_OF
    }

    [[nodiscard]] bool is_here() const {
        return init_ && step_ && get_register_;
    }

    /// From `context`, which a signal handler was given (interrupted), or getcontext() has filled. libunwind's own type for
    /// it is that, or on AArch64 the beginning of that.
    void chain(call_chain& result, ucontext_t& context, bool interrupted) const {
        static_assert(sizeof(unw_context_t) <= sizeof(ucontext_t));
        auto* const registers = reinterpret_cast<unw_context_t*>(&context);
        unw_cursor_t cursor{};
        result.count = 0;
        result.ends = false;
        if (init_(&cursor, registers, interrupted ? UNW_INIT_SIGNAL_FRAME : 0) != 0)
            return;
        int more = 1;
        for (; more > 0 && !result.full(); more = step_(&cursor)) {
            unw_word_t address = 0;
            get_register_(&cursor, UNW_REG_IP, &address);
            if (address != 0)
                result.add(address);
        }
        result.ends = more == 0;
    }

private:
    template <class Function> static void find(Function*& function, void* library, const char* name) {
        void* const found = ::dlsym(library, name);
        std::memcpy(&function, &found, sizeof found);
    }

    decltype(unw_init_local2)* init_ = nullptr;
    decltype(unw_step)* step_ = nullptr;
    decltype(unw_get_reg)* get_register_ = nullptr;
};

#endif
