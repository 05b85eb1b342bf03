#pragma once

#include <string_view>

namespace http_server {

/// The Content-Type of a file, by the ending of its name.
[[nodiscard]] std::string_view media_type(std::string_view path) noexcept;

} // namespace http_server
