#pragma once

#include "stack/slab_table.hpp"

#include <coir/detail/fiber_base.hpp>

#include <exception>
#include <string>

namespace coir::detail {

/// `fiber 42 "name"`, for messages.
[[nodiscard]] std::string describe(const fiber_base& fiber);

/// The same for the report of a stack overflow, and what to do about it.
extern const owner_description fibers_as_owners;

/// What it does: `waits to read from descriptor 7`, `is ready to run`, …
[[nodiscard]] std::string describe_state(const fiber_base& fiber);

/// What the one does who waits with `record`.
[[nodiscard]] std::string describe_wait(const wait_record& record);

/// The message of an exception.
[[nodiscard]] std::string describe_failure(const std::exception_ptr& failure);

} // namespace coir::detail
