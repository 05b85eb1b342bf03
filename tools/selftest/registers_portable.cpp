#include "registers.hpp"

const char selftest_preserved_registers[] = "";

unsigned selftest_fill_call_compare(void (*call)(void*), void* argument, std::uint64_t /*seed*/,
                                    std::uint64_t /*damage*/) {
    call(argument);
    return 0;
}

unsigned selftest_stack_misalignment(std::uint64_t damage) {
    return (reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0)) - damage) % 16;
}
