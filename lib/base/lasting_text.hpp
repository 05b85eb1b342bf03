#pragma once

#include <string_view>

namespace coir::detail {

/// A copy of `text`, with a null character after it, that lives for ever: for names that a plugin has, which may be unloaded.
/// The same copy for the same text, so there must not be many different ones. Any thread; a child of fork() needs nothing.
[[nodiscard]] std::string_view lasting_copy(std::string_view text);

} // namespace coir::detail
