#pragma once

#include <coir/detail/execution.hpp>

#include <cstddef>

#if defined(COIR_ASAN)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#elif defined(COIR_TSAN)
#include <sanitizer/tsan_interface.h>
#include <utility>
#endif

/// \file
/// What AddressSanitizer and ThreadSanitizer must be told of a switch (hazards D5, D6). Empty functions in other builds,
/// so that callers carry no conditionals.
///
/// A context may be resumed by another thread than before. What runs after a switch is therefore a function of its own: where it
/// is inlined, the compiler may use the address of a thread_local object that it has found before the switch (hazard D1).
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
    __sanitizer_start_switch_fiber(final ? nullptr : &from.sanitizer_state, to.stack_bottom, to.stack_size);
}

/// First thing after a switch, in the execution that runs from here.
[[gnu::noinline]] inline void after_switch(execution& self) {
    __sanitizer_finish_switch_fiber(self.sanitizer_state, &left->stack_bottom, &left->stack_size);
    if (left == &ended) // nothing on that stack is alive: whoever still points to it is to be found
        __asan_poison_memory_region(ended.stack_bottom, ended.stack_size);
}

/// [bottom, bottom + size) is about to be the stack of `user`: what the last one poisoned is no longer meant.
inline void fresh_stack(execution& user, const void* bottom, std::size_t size) {
    user.sanitizer_state = nullptr;
    user.stack_bottom = bottom;
    user.stack_size = size;
    __asan_unpoison_memory_region(bottom, size);
}

inline void set_name(const char* /*name*/) {}

#elif defined(COIR_TSAN)

inline constexpr bool enabled = true;

/// What the execution that the thread has left for ever was to ThreadSanitizer: only another one can destroy it.
inline thread_local void* ended = nullptr;

/// Right before a switch. ThreadSanitizer keeps a stack of calls for each execution, so no function may begin or end between
/// here and the switch, not even this one: always inlined, without optimisation too.
[[gnu::always_inline]] inline void before_switch(execution& from, execution& to, bool final) {
    void* const self = __tsan_get_current_fiber();
    (final ? ended : from.sanitizer_state) = self;
    if (!to.sanitizer_state)
        to.sanitizer_state = __tsan_create_fiber(0);
    __tsan_switch_to_fiber(to.sanitizer_state, 0); // 0: what `from` has done happens before what `to` does
}

/// First thing after a switch, in the execution that runs from here.
[[gnu::noinline]] inline void after_switch(execution& /*self*/) {
    if (ended)
        __tsan_destroy_fiber(std::exchange(ended, nullptr));
}

/// `user` is about to begin; it is made known at its first switch, so that one that never runs leaves nothing behind.
inline void fresh_stack(execution& user, const void* /*bottom*/, std::size_t /*size*/) {
    user.sanitizer_state = nullptr;
}

/// The running execution's, in reports.
inline void set_name(const char* name) {
    __tsan_set_fiber_name(__tsan_get_current_fiber(), name);
}

#else

inline constexpr bool enabled = false;
inline void before_switch(execution& /*from*/, const execution& /*to*/, bool /*final*/) {}
inline void after_switch(execution& /*self*/) {}
inline void fresh_stack(execution& /*user*/, const void* /*bottom*/, std::size_t /*size*/) {}
inline void set_name(const char* /*name*/) {}

#endif

} // namespace coir::detail::sanitizer
