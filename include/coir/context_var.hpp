#pragma once

#include <coir/detail/local_storage.hpp>

#include <memory>
#include <utility>

namespace coir {

/// A value that follows the work: set in one fiber, and visible to the fibers that it spawns from then on, and to theirs; like
/// Python's `contextvars`. For data that concerns a whole request (its id, its user, its language), without passing it through
/// every call.
///
/// A fiber inherits the bindings of its creator at spawn; later changes on one side are not seen on the other. Values are
/// immutable, and shared. Outside of fibers a binding is the thread's, and run() inherits it.
///
/// None of the functions suspends. Threads: may be used from all.
///
///     const coir::context_var<std::string> request_id{"none"};      // usually a static or global variable
///
///     const auto bound = request_id.bind("42");                     // until the end of this scope
///     coir::spawn([] { log(*request_id); }).join();                 // 42
template <class T> class context_var {
public:
    /// A binding, from bind() until its destruction, which restores the previous one. A local variable.
    class [[nodiscard]] binding {
    public:
        binding(const binding&) = delete;
        binding& operator=(const binding&) = delete;
        ~binding() { detail::exchange_context_value(key_, std::move(before_)); }

    private:
        friend context_var;
        binding(detail::storage_key key, std::shared_ptr<const void> value)
            : key_(key), before_(detail::exchange_context_value(key, std::move(value))) {}
        const detail::storage_key key_;
        std::shared_ptr<const void> before_;
    };

    /// The value where nothing has been bound.
    explicit context_var(T otherwise = T()) : otherwise_(std::move(otherwise)) {}
    context_var(const context_var&) = delete;
    context_var& operator=(const context_var&) = delete;

    /// The running fiber's value. The reference holds until its binding ends.
    [[nodiscard]] const T& get() const noexcept {
        const void* bound = detail::find_context_value(key_);
        return bound ? *static_cast<const T*>(bound) : otherwise_;
    }
    [[nodiscard]] const T& operator*() const noexcept { return get(); }
    [[nodiscard]] const T* operator->() const noexcept { return &get(); }

    /// Binds a value for the running fiber and what it spawns, until the result is destroyed.
    binding bind(T value) const { return binding{key_, std::make_shared<const T>(std::move(value))}; }

    /// As bind(), until the end of the fiber, or the next set().
    void set(T value) const { detail::exchange_context_value(key_, std::make_shared<const T>(std::move(value))); }

private:
    const detail::storage_key key_ = detail::next_storage_key();
    const T otherwise_;
};

} // namespace coir
