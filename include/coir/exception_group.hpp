#pragma once

#include <coir/export.hpp>

#include <cstddef>
#include <exception>
#include <memory>
#include <vector>

namespace coir {

/// All failures of a task_group, in the order in which they happened. Immutable, and cheap to copy.
///
/// A task group throws the first failure with its original type, so that ordinary handlers match. The others are carried along
/// here:
///
///     try {
///         coir::task_group group;
///         for (const auto& address : addresses)
///             group.spawn(fetch, address);
///     } catch (const std::exception& first) {
///         for (const std::exception_ptr& failure : coir::exception_group::current())
///             log(failure);                       // `first` is the first of them
///     }
class COIR_EXPORT exception_group {
public:
    using const_iterator = std::vector<std::exception_ptr>::const_iterator;

    /// No failures.
    exception_group() noexcept = default;
    explicit exception_group(std::vector<std::exception_ptr> failures);

    /// In a handler for a failure that a task group has thrown: the failures of that group. Empty elsewhere, and for an
    /// exception that left the fiber in any other way than through fiber::join() or run().
    [[nodiscard]] static exception_group current() noexcept;

    [[nodiscard]] bool empty() const noexcept { return !failures_; }
    [[nodiscard]] std::size_t size() const noexcept { return failures_ ? failures_->size() : 0; }
    /// The first failure. The group must not be empty.
    [[nodiscard]] const std::exception_ptr& front() const noexcept { return failures_->front(); }
    [[nodiscard]] const_iterator begin() const noexcept { return failures_ ? failures_->begin() : const_iterator{}; }
    [[nodiscard]] const_iterator end() const noexcept { return failures_ ? failures_->end() : const_iterator{}; }

private:
    std::shared_ptr<const std::vector<std::exception_ptr>> failures_; // null: none
};

} // namespace coir
