#pragma once

#include <coir/detail/task_group_state.hpp>

namespace coir::detail {

/// Throws the first failure of `group`; with the others, for who asks for the exception_group.
[[noreturn]] void throw_failure(task_group_state& group);

/// In the child of a fork(): the members are not there, and will not end.
void drop_members(task_group_state& group) noexcept;

} // namespace coir::detail
