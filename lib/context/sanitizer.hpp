#pragma once

#include <coir/detail/execution.hpp>

#include <cstddef>

#if defined(COIR_ASAN)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

/// \file
/// What AddressSanitizer must be told of a switch (hazard D5). Empty functions in other builds, so that callers carry
/// no conditionals.
namespace coir::detail::sanitizer {

#if defined(COIR_ASAN)

inline constexpr bool enabled = true;

/// The execution that the thread is leaving; its stack's bounds are learnt on arrival at the next one.
inline thread_local execution* left = nullptr;

/// Stands for executions that have ended: they may be freed before the arrival is reported.
inline thread_local execution ended;

/// Right before a switch. `final`: `from` never runs again, its fake stack can go.
inline void before_switch(execution& from, const execution& to, bool final) {
    left = final ? &ended : &from;
    __sanitizer_start_switch_fiber(final ? nullptr : &from.fake_stack, to.stack_bottom, to.stack_size);
}

/// First thing after a switch, in the execution that runs from here.
inline void after_switch(execution& self) {
    __sanitizer_finish_switch_fiber(self.fake_stack, &left->stack_bottom, &left->stack_size);
}

/// [bottom, bottom + size) is about to be the stack of `user`: what the last one poisoned is no longer meant.
inline void fresh_stack(execution& user, const void* bottom, std::size_t size) {
    user.fake_stack = nullptr;
    user.stack_bottom = bottom;
    user.stack_size = size;
    __asan_unpoison_memory_region(bottom, size);
}

#else

inline constexpr bool enabled = false;
inline void before_switch(execution& /*from*/, const execution& /*to*/, bool /*final*/) {}
inline void after_switch(execution& /*self*/) {}
inline void fresh_stack(execution& /*user*/, const void* /*bottom*/, std::size_t /*size*/) {}

#endif

} // namespace coir::detail::sanitizer
