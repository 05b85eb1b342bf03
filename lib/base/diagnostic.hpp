#pragma once

#include <string_view>

namespace coir::detail {

/// One line on stderr, "coir: " in front, for what has no caller to throw to. Does not allocate.
void report(std::string_view message) noexcept;

} // namespace coir::detail
