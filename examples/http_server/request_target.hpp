#pragma once

#include <http_parser.h>

#include <string>
#include <string_view>

namespace http_server {

/// Where a request's target points, relative to the document root.
struct target_path {
    std::string path;          // decoded; "a/b": no leading, trailing or doubled slash; "" is the root
    bool is_directory = false; // the target ended in a slash (or in "/.")
};

/// Turns the target of a request line ("/a%20b/?query", "http://host/a") into a path. Writes over `result`, whose
/// memory is reused.
///
/// 200 if that worked. 400 for what has no business in a target: "..", a NUL, a broken %XX; clients resolve ".."
/// before they send it, who does not is looking for a hole. 404 for an encoded slash, which no file name can
/// contain. (open_beneath() would not let any of these out of the root either.)
[[nodiscard]] http_status decode_target(std::string_view target, target_path& result);

/// The inverse, for links: "a b/c" becomes "a%20b/c".
[[nodiscard]] std::string encode_path(std::string_view path);

} // namespace http_server
