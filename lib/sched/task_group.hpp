#pragma once

#include <coir/detail/task_group_state.hpp>

namespace coir::detail {

/// Throws the first failure of `group`; with the others, for who asks for the exception_group.
[[noreturn]] void throw_failure(task_group_state& group);

} // namespace coir::detail
