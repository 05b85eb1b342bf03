#pragma once

#include <string>

namespace http_server {

/// An HTML page with a link to each name in `directory`, except hidden ones. `path` is its place below the root,
/// for the heading. Throws std::system_error.
[[nodiscard]] std::string directory_listing(int directory, const std::string& path);

} // namespace http_server
