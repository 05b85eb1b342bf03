#pragma once

#include <coir/export.hpp>

#include <cstdint>
#include <memory>

namespace coir::detail {

/// Identifies a fiber_local or context_var; never reused.
using storage_key = std::uint64_t;

[[nodiscard]] COIR_EXPORT storage_key next_storage_key() noexcept;

/// Creates and destroys the values of a fiber_local.
struct COIR_EXPORT local_value_factory {
    virtual ~local_value_factory();
    [[nodiscard]] virtual void* make() const = 0;
    void (*destroy)(void* value) noexcept = nullptr; ///< outlives the fiber_local: a value may
};

/// The running fiber's value for `key` (outside of fibers: the thread's), created if there is none.
[[nodiscard]] COIR_EXPORT void* local_value(storage_key key, const local_value_factory& factory);
/// As local_value(), or null.
[[nodiscard]] COIR_EXPORT void* find_local_value(storage_key key) noexcept;

/// The running fiber's binding of a context_var (outside of fibers: the thread's), or null.
[[nodiscard]] COIR_EXPORT const void* find_context_value(storage_key key) noexcept;
/// Binds it to `value`, for the running fiber and those it will spawn; null removes the binding. Returns the previous one.
COIR_EXPORT std::shared_ptr<const void> exchange_context_value(storage_key key, std::shared_ptr<const void> value);

} // namespace coir::detail
