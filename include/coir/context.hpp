#pragma once

#include <coir/detail/execution.hpp>
#include <coir/export.hpp>
#include <coir/stack_size.hpp>

#include <concepts>
#include <cstddef>
#include <exception>
#include <memory>
#include <type_traits>
#include <utility>

namespace coir {

/// How a context is made.
struct context_options {
    /// Usable bytes of stack, rounded up to pages and committed as they are touched. At least minimum_stack_size.
    std::size_t stack_size = default_stack_size;
};

namespace detail {

class stack_pool;

struct context_state;

/// The resumer of a context: lives in the frame of resume(), until control comes back.
struct resumption : execution {
    context_state* ended = nullptr; ///< the context that has ended and thereby given control back
};

/// A context as the switch sees it. Lives on the heap, so that a context object can be moved while it is suspended.
struct context_state : execution {
    resumption* resumer = nullptr; ///< who continues at the next suspend(); null while it can be resumed
    std::exception_ptr failure;    ///< what the function threw; written at its end, moved out by resume()
    stack_pool* stacks = nullptr;  ///< where its stack comes from
    std::byte* stack = nullptr;    ///< its lowest usable byte
    bool started = false;          ///< there is something to unwind
    bool done = false;             ///< the function has returned or thrown

    context_state() = default;
    context_state(const context_state&) = delete;
    context_state& operator=(const context_state&) = delete;
    virtual ~context_state() = default;
    virtual void call() = 0; ///< runs the function, on the context's own stack
};

/// Gives `state` a stack whose first switch runs state.call().
COIR_EXPORT void prepare_context(context_state& state, const context_options& options);
/// Unwinds a suspended `state` and gives the stack back.
COIR_EXPORT void destroy_context(context_state& state) noexcept;
COIR_EXPORT void rethrow_failure(context_state& state);
[[noreturn]] COIR_EXPORT void throw_not_resumable(const context_state* state);
COIR_EXPORT void suspend_unwinding();

} // namespace detail

/// A function with a stack of its own that can be left in the middle and continued there: the bare switch, for building your
/// own generator or scheduler. It needs no loop.
///
/// `resume()` is a call that may return before the function has ended; `self::suspend()` makes it return. Both are one switch:
/// about 4 ns, no system call, no allocation.
///
/// Threads: any thread may resume a context, one at a time. A function that is resumed by different threads must not keep the
/// address of a thread_local across suspend(), which compilers do on their own initiative; so prefer one thread. Not for signal
/// handlers, which may have interrupted a switch.
///
///     int value = 0;
///     coir::context numbers{[&](coir::context::self& self) {
///         for (value = 1; value <= 3; ++value) self.suspend();
///     }};
///     while (numbers.resume()) std::cout << value << '\n';     // 1 2 3
class context {
public:
    /// The context as seen from inside: what its function is called with.
    class self {
    public:
        /// Goes back to whoever resumed this context; returns when it is resumed again.
        /// Throws coir::cancelled when instead the context is being destroyed. Must be called on the context's own stack.
        void suspend() {
            detail::switch_execution(state_, *std::exchange(state_.resumer, nullptr));
            if (state_.cancel_requested) [[unlikely]]
                detail::suspend_unwinding();
        }

        /// Suspends this context and continues `next` in its place: when `next` suspends or ends, this context's resumer
        /// continues, and gets the exception by which `next` ends. One switch instead of two. Throws std::logic_error if `next`
        /// cannot be resumed, and what suspend() throws.
        void transfer_to(context& next) {
            if (state_.cancel_requested) [[unlikely]]
                return detail::suspend_unwinding();
            detail::context_state& other = next.resumable();
            other.resumer = std::exchange(state_.resumer, nullptr);
            detail::switch_execution(state_, other);
            if (state_.cancel_requested) [[unlikely]]
                detail::suspend_unwinding();
        }

        self(const self&) = delete;
        self& operator=(const self&) = delete;

    private:
        friend class context;
        explicit self(detail::context_state& state) : state_(state) {}
        detail::context_state& state_;
    };

    /// Empty: done() is true.
    context() noexcept = default;

    /// A suspended call of `function(self&)`; it has not started to run. Floating-point control words are inherited. Throws
    /// std::system_error when no stack can be had, std::invalid_argument for a stack below the minimum.
    template <class Function>
        requires(std::invocable<std::decay_t<Function>&, self&>)
    explicit context(Function&& function, const context_options& options = {}) {
        struct state final : detail::context_state {
            std::decay_t<Function> function;
            explicit state(Function&& f) : function(std::forward<Function>(f)) {}
            void call() override {
                self inside{*this};
                function(inside);
            }
        };
        auto fresh = std::make_unique<state>(std::forward<Function>(function));
        detail::prepare_context(*fresh, options);
        state_ = std::move(fresh);
    }

    context(context&&) noexcept = default;
    context& operator=(context&& other) noexcept {
        context old{std::move(*this)};
        state_ = std::move(other.state_);
        return *this;
    }

    /// Unwinds the function if it is suspended in the middle: suspend() throws coir::cancelled there. Returns when its
    /// destructors have run; a function that swallows the exception and suspends again gets it again.
    ~context() {
        if (state_)
            detail::destroy_context(*state_);
    }

    /// Continues the function until it suspends (true) or ends (false). Rethrows what the function threw.
    /// Throws std::logic_error if the context is empty, has ended, or is running.
    bool resume() {
        detail::context_state& state = resumable();
        detail::resumption here;
        state.resumer = &here;
        detail::switch_execution(here, state);
        if (here.ended) [[unlikely]]
            detail::rethrow_failure(*here.ended); // of this one, or of one that it has transferred control to
        return !state.done;
    }

    /// Nothing left to resume: empty, or the function has returned or thrown.
    [[nodiscard]] bool done() const noexcept { return !state_ || state_->done; }

private:
    detail::context_state& resumable() {
        detail::context_state* state = state_.get();
        if (!state || state->resumer) [[unlikely]]
            detail::throw_not_resumable(state);
        return *state;
    }

    std::unique_ptr<detail::context_state> state_;
};

} // namespace coir
