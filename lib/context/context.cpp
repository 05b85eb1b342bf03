#include <coir/context.hpp>

#include "base/diagnostic.hpp"
#include "base/thread_end.hpp"
#include "base/throw_cancelled.hpp"
#include "context/floating_point.hpp"
#include "context/resumers.hpp"
#include "context/switch.hpp"
#include "stack/slab_table.hpp"
#include "stack/stack_pools.hpp"

#include <coir/cancelled.hpp>

#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <pthread.h>
#include <stdexcept>

namespace coir::detail {
namespace {

/// For the report of a stack overflow.
constexpr owner_description contexts_as_owners{
    .is_running =
        [](const void* owner) noexcept { return static_cast<const context_state*>(owner)->resumer != nullptr; },
    .id = [](const void* owner) noexcept -> std::uint64_t {
        const auto& state = *static_cast<const context_state*>(owner);
        return state.stacks->geometry().at(state.stack).label().uses;
    },
    .name = [](const void* /*owner*/, bounded_text& text) noexcept { text << "a context"; },
    .advise = [](const void* /*owner*/,
                 bounded_text& text) noexcept { text << "\n      ask for more with context_options::stack_size;"; },
};

/// Stacks of contexts, which any thread may make, resume and destroy.
struct shared_stacks {
    std::mutex mutex; // held across fork(), so that the child finds the pools whole
    /// Null: there has been no context yet. Never destroyed: contexts in static variables may be destroyed later (hazard G9).
    stack_pools* pools = nullptr;

    [[nodiscard]] stack_pool& of_size(std::size_t size) {
        if (!pools)
            pools = new stack_pools{default_stack_size, 0, &contexts_as_owners};
        return pools->of_size(size);
    }
};

// So many unused stacks are kept, and up to as many again: then these go back together, and contexts that come and go, as many
// as that at once, cost no system call. There is no loop here that could see how long they are not needed.
constexpr std::size_t pooled_stacks = 64;

constinit shared_stacks context_stacks;

void unlock_after_fork() noexcept {
    context_stacks.mutex.unlock();
}

[[maybe_unused]] const int fork_handlers =
    ::pthread_atfork([] { context_stacks.mutex.lock(); }, unlock_after_fork, unlock_after_fork);

// The body of a context's stack.
void context_main(void* argument) {
    auto& state = *static_cast<context_state*>(argument);
    sanitizer::after_switch(state);
    sanitizer::set_name("context");
    state.started = true;
    try {
        state.call();
    } catch (...) {
        state.failure = std::current_exception();
        if (!state.failure) // nothing that C++ has thrown
            die_of_thread_end();
    }
    state.done = true;
    resumption& back = *state.resumer; // stays: not null means that it cannot be resumed
    back.ended = &state;
    leave_stack(thread_exceptions(), state, back);
}

} // namespace

void prepare_context(context_state& state, const context_options& options) {
    tune_switch();
    stack fresh{};
    {
        const std::lock_guard lock{context_stacks.mutex};
        state.stacks = &context_stacks.of_size(options.stack_size);
        state.stacks->promise();
        try {
            fresh = state.stacks->allocate(&state);
        } catch (...) {
            state.stacks->end_promise();
            throw;
        }
    }
    state.stack = fresh.bottom;
    sanitizer::fresh_stack(state, fresh.bottom, fresh.size());
    state.stack_pointer = make_first_frame(fresh.bottom, fresh.top, current_control_words(), context_main, &state);
}

void destroy_context(context_state& state) noexcept {
    if (state.resumer && !state.done) {
        report("a context is destroyed while it runs: its stack would go from under it");
        std::abort();
    }
    if (state.started && !state.done) {
        state.cancel_requested = true;
        // More than once if it swallows the exception and suspends again, or suspends in a destructor on the way.
        do {
            resumption here;
            state.resumer = &here;
            switch_execution(here, state);
        } while (!state.done);
        if (state.failure && !is_cancelled(state.failure))
            report("a context that was being destroyed ended by another exception than coir::cancelled");
    }
    const std::lock_guard lock{context_stacks.mutex};
    state.stacks->geometry().at(state.stack).label().owner = nullptr; // the report of an overflow would ask it
    state.stacks->deallocate(state.stack);
    state.stacks->end_promise();
    if (state.stacks->exceeds(2 * pooled_stacks))
        state.stacks->trim(pooled_stacks, pooled_stacks);
}

resumers find_resumers(const void* place) noexcept {
    resumers found;
    for (slab_extent slab; find_slab(place, slab) && slab.owners == &contexts_as_owners;) {
        const void* const owner = slab.geometry.at(slab.bottom_at(place)).label().owner;
        const resumption* const resumer = owner ? static_cast<const context_state*>(owner)->resumer : nullptr;
        if (!resumer)
            break;
        if (!resumer->is_plain)
            found.add(*resumer->exceptions);
        place = resumer->stack_pointer;
    }
    return found;
}

void rethrow_failure(context_state& state) {
    if (state.failure)
        std::rethrow_exception(std::exchange(state.failure, nullptr));
}

void throw_not_resumable(const context_state* state) {
    if (!state)
        throw std::logic_error("coir: resume of a context without a function");
    throw std::logic_error(state->done ? "coir: resume of a context whose function has ended"
                                       : "coir: resume of a context that is running");
}

void suspend_unwinding() {
    // An exception during unwinding would end the program: a destructor that suspends just goes on (hazard A5).
    if (std::uncaught_exceptions() == 0)
        throw_cancelled();
}

} // namespace coir::detail
