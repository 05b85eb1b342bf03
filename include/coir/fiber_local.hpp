#pragma once

#include <coir/detail/local_storage.hpp>

#include <concepts>
#include <functional>
#include <type_traits>
#include <utility>

namespace coir {

/// A variable of which each fiber has its own copy: what `thread_local` is for threads. The value is created when a fiber first
/// uses it, and destroyed at the end of the fiber, on the fiber's own stack, newest first. Outside of fibers it is the
/// thread's.
///
/// None of the functions suspends; a value's constructor and destructor may. Threads: may be used from all; destroy it when
/// nobody uses it any more. For values that a fiber's children should inherit, see context_var.
///
///     const coir::fiber_local<std::string> request;      // usually a static or global variable
///     *request = "GET /";
template <class T> class fiber_local {
public:
    /// Values are value-initialised.
    fiber_local() requires(std::default_initializable<T>) : fiber_local([] { return T(); }) {}

    /// Values are what `make()` returns.
    template <class Function>
        requires(std::convertible_to<std::invoke_result_t<const Function&>, T> &&
                 !std::same_as<std::remove_cvref_t<Function>, fiber_local>)
    explicit fiber_local(Function make) : factory_(std::make_unique<factory<Function>>(std::move(make))) {}

    fiber_local(const fiber_local&) = delete;
    fiber_local& operator=(const fiber_local&) = delete;

    /// The running fiber's value; created if necessary: throws what that throws.
    [[nodiscard]] T& get() const { return *static_cast<T*>(detail::local_value(key_, *factory_)); }
    [[nodiscard]] T& operator*() const { return get(); }
    [[nodiscard]] T* operator->() const { return &get(); }

    /// The running fiber's value, or null if it has none yet.
    [[nodiscard]] T* find() const noexcept { return static_cast<T*>(detail::find_local_value(key_)); }

private:
    template <class Function> struct factory final : detail::local_value_factory {
        explicit factory(Function f) : function(std::move(f)) {
            destroy = [](void* value) noexcept { delete static_cast<T*>(value); };
        }
        [[nodiscard]] void* make() const override { return new T(function()); }
        Function function;
    };

    detail::storage_key key_ = detail::next_storage_key();
    std::unique_ptr<const detail::local_value_factory> factory_;
};

} // namespace coir
