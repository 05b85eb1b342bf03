#include "media_type.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

namespace http_server {
namespace {

constexpr std::array<std::pair<std::string_view, std::string_view>, 22> types{{
    {"css", "text/css; charset=utf-8"},
    {"csv", "text/csv; charset=utf-8"},
    {"gif", "image/gif"},
    {"gz", "application/gzip"},
    {"htm", "text/html; charset=utf-8"},
    {"html", "text/html; charset=utf-8"},
    {"ico", "image/x-icon"},
    {"jpeg", "image/jpeg"},
    {"jpg", "image/jpeg"},
    {"js", "text/javascript; charset=utf-8"},
    {"json", "application/json"},
    {"md", "text/markdown; charset=utf-8"},
    {"mjs", "text/javascript; charset=utf-8"},
    {"pdf", "application/pdf"},
    {"png", "image/png"},
    {"svg", "image/svg+xml"},
    {"txt", "text/plain; charset=utf-8"},
    {"wasm", "application/wasm"},
    {"webp", "image/webp"},
    {"woff2", "font/woff2"},
    {"xml", "application/xml"},
    {"zip", "application/zip"},
}};

bool same_ignoring_case(std::string_view left, std::string_view right) noexcept {
    return std::ranges::equal(left, right, [](unsigned char a, unsigned char b) { return std::tolower(a) == b; });
}

} // namespace

std::string_view media_type(std::string_view path) noexcept {
    const std::string_view name = path.substr(path.rfind('/') + 1); // npos + 1 is 0
    if (const std::size_t dot = name.rfind('.'); dot != std::string_view::npos) {
        const std::string_view ending = name.substr(dot + 1);
        const auto* found =
            std::ranges::find_if(types, [&](const auto& type) { return same_ignoring_case(ending, type.first); });
        if (found != types.end())
            return found->second;
    }
    return "application/octet-stream";
}

} // namespace http_server
