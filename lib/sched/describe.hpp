#pragma once

#include "stack/slab_table.hpp"

#include <coir/detail/fiber_base.hpp>

#include <string>

namespace coir::detail {

/// `fiber 42 "name"`, for messages.
[[nodiscard]] std::string describe(const fiber_base& fiber);

/// The same for the report of a stack overflow, and what to do about it.
extern const owner_description fibers_as_owners;

} // namespace coir::detail
