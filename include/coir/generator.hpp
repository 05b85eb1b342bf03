#pragma once

#include <coir/context.hpp>
#include <coir/elements_of.hpp>
#include <coir/export.hpp>

#include <concepts>
#include <cstddef>
#include <iterator>
#include <memory>
#include <ranges>
#include <type_traits>
#include <utility>

namespace coir {
namespace detail {

/// Says what is wrong: moved from (null), ended, running, or begun.
[[noreturn]] COIR_EXPORT void throw_generator_misuse(const context_state* state);
[[noreturn]] COIR_EXPORT void abort_generator_in_use() noexcept;

} // namespace detail

/// A sequence whose elements a function produces, one at a time, on demand. Its interface is that of C++23's std::generator: a
/// single-pass input range and a view. But the function is an ordinary one, with a stack of its own. It calls `yield(element)`,
/// which returns when the next element is wanted, and may do so from functions that it calls, however deep, from lambdas and
/// from algorithms.
///
///     coir::generator<int> squares = [](auto& yield) {
///         for (int i = 1; i <= 3; ++i)
///             yield(i * i);
///     };
///     for (int square : squares)
///         std::cout << square << '\n';     // 1 4 9
///
/// `Reference` is the type that dereferencing an iterator returns: T& for generator<T&>; T&& for generator<T>, so the consumer
/// may move from it. Elements are passed by address, neither copied nor moved (but see yielder), and live until the next step.
///
/// The function starts with begin(). A step is two switches: no allocation, no system call. No loop is needed; in a fiber the
/// function may block, and with it whoever waits for the next element.
///
/// What the function throws is rethrown by the begin() or ++ that asked for the next element, and ends the sequence. Destroying
/// a generator in the middle unwinds its function: yield() throws coir::cancelled there. Destroying it while its function runs,
/// that is from inside, aborts. The function must not yield inside a cancel_scope, with_timeout() or task_group of its own,
/// because the consumer would be inside as well.
///
/// Threads: as context. A generator may be moved at any time, its iterators stay valid.
template <class Reference> class generator : public std::ranges::view_base {
    struct sequence;

public:
    using value_type = std::remove_cvref_t<Reference>;
    using reference = Reference&&;

    /// What the function is called with, for use on its own stack until it returns.
    class yielder {
        static constexpr bool gives_copies =
            std::is_rvalue_reference_v<reference> && std::copy_constructible<value_type>;

    public:
        /// Passes an element to the consumer; returns when the next one is wanted. Throws coir::cancelled when instead the
        /// generator is being destroyed.
        void operator()(reference element) { sequence_.yield(std::addressof(element)); }

        /// The same with a copy of `element`, since the consumer gets a T&& and may move from it.
        void operator()(const value_type& element) requires(gives_copies) {
            value_type copy(element);
            sequence_.yield(std::addressof(copy));
        }

        /// Yields the elements of a range. If that is a generator of the same type, its function takes the place of this one
        /// until it ends, so that a step costs the same at any depth; what it throws is rethrown here.
        template <class Range> void operator()(elements_of<Range> elements) {
            if constexpr (std::same_as<std::remove_cvref_t<Range>, generator>)
                sequence_.yield_all(elements.range().sequence_.get());
            else
                for (auto&& each : elements.range())
                    (*this)(std::forward<decltype(each)>(each));
        }

        yielder(const yielder&) = delete;
        yielder& operator=(const yielder&) = delete;

    private:
        friend class generator;
        explicit yielder(sequence& whole) : sequence_(whole) {}
        sequence& sequence_;
    };

    /// An input iterator. It cannot be copied: there is one position, where the function is.
    class iterator {
    public:
        using value_type = generator::value_type;
        using difference_type = std::ptrdiff_t;

        /// Throws std::logic_error at the end.
        [[nodiscard]] reference operator*() const { return static_cast<reference>(sequence_->checked_element()); }

        /// Continues the function to its next element, or its end. Throws what it throws; std::logic_error at the end,
        /// or when the function is running: it uses its own iterator, or blocks while another fiber does.
        iterator& operator++() {
            sequence_->advance();
            return *this;
        }
        void operator++(int) { sequence_->advance(); }

        [[nodiscard]] friend bool operator==(const iterator& here, std::default_sentinel_t /*end*/) noexcept {
            return here.sequence_->element == nullptr;
        }

        iterator(iterator&&) noexcept = default;
        iterator& operator=(iterator&&) noexcept = default;

    private:
        friend class generator;
        explicit iterator(sequence& whole) : sequence_(&whole) {}
        sequence* sequence_;
    };

    /// The elements that `function(yielder&)` yields. Throws as the constructor of context.
    template <class Function>
        requires(!std::same_as<std::decay_t<Function>, generator> && std::invocable<std::decay_t<Function>&, yielder&>)
    generator(Function&& function, const context_options& options = {}) { // NOLINT(google-explicit-constructor)
        struct sequence_by_function final : sequence {
            std::decay_t<Function> function;
            explicit sequence_by_function(Function&& f) : function(std::forward<Function>(f)) {}
            void call() override {
                yielder yield{*this};
                function(yield);
            }
        };
        auto fresh = std::make_unique<sequence_by_function>(std::forward<Function>(function));
        detail::prepare_context(*fresh, options);
        sequence_.reset(fresh.release());
    }

    /// Starts the function, up to its first element. Throws what it throws; std::logic_error if it has been started.
    [[nodiscard]] iterator begin() {
        if (!sequence_ || sequence_->started) [[unlikely]]
            detail::throw_generator_misuse(sequence_.get());
        sequence_->advance();
        return iterator{*sequence_};
    }

    [[nodiscard]] std::default_sentinel_t end() const noexcept { return {}; }

private:
    struct destroyer {
        void operator()(sequence* whole) const noexcept {
            if (whole->is_in_use())
                detail::abort_generator_in_use();
            detail::destroy_context(*whole);
            delete whole;
        }
    };
    std::unique_ptr<sequence, destroyer> sequence_;
};

/// The function of a generator as an execution, and what it shares with the consumer.
///
/// A function that yields the elements of another generator steps aside: the consumer continues the innermost function
/// directly, and that one leaves its elements in the outermost sequence, where the consumer looks.
template <class Reference> struct generator<Reference>::sequence : detail::context_state {
    std::add_pointer_t<reference> element = nullptr; ///< null while a function runs, and at the end
    sequence* innermost = this;                      ///< of the outermost: which function to continue
    sequence* outermost = this;                      ///< where the elements of this function go
    sequence* outer = nullptr;                       ///< which function yields the elements of this one, if any
    detail::resumption consumer;                     ///< of the outermost: waits for an element

    void advance() {
        do {
            sequence& next = *innermost;
            if (next.resumer) [[unlikely]]
                detail::throw_generator_misuse(&next);
            next.resumer = &consumer;
            element = nullptr;
            detail::switch_execution(consumer, next);
            if (element) [[likely]]
                return;
        } while (find_next_function());
    }

    /// There is no element because a function has ended, or has made another one the innermost. False: that was all.
    bool find_next_function() {
        if (!innermost->done)
            return true;
        if (innermost == this) {
            detail::rethrow_failure(*this);
            return false;
        }
        innermost = innermost->outer;
        return true;
    }

    [[nodiscard]] std::remove_reference_t<reference>& checked_element() const {
        if (!element) [[unlikely]]
            detail::throw_generator_misuse(innermost);
        return *element;
    }

    void yield(std::add_pointer_t<reference> next) {
        outermost->element = next;
        suspend();
    }

    void yield_all(sequence* inner) {
        if (!inner || inner->started) [[unlikely]]
            detail::throw_generator_misuse(inner);
        struct nesting {
            sequence& inner;
            nesting(sequence& self, sequence& other) : inner(other) {
                inner.outer = &self;
                inner.outermost = self.outermost;
                self.outermost->innermost = &inner;
            }
            ~nesting() {
                inner.outermost->innermost = inner.outer;
                inner.outermost = &inner;
            }
        };
        const nesting scope{*this, *inner};
        suspend(); // until it has ended
        detail::rethrow_failure(*inner);
    }

    void suspend() {
        detail::switch_execution(*this, *std::exchange(this->resumer, nullptr));
        if (this->cancel_requested) [[unlikely]]
            detail::suspend_unwinding();
    }

    [[nodiscard]] bool is_in_use() const noexcept {
        return outermost != this || (innermost->resumer && !innermost->done);
    }
};

} // namespace coir
