#pragma once

#include <array>
#include <cstdio>
#include <string>
#include <string_view>

namespace coir::detail {

/// `text` for messages: what is no printable ASCII character is shown as `\x0a`, and so are spaces, which would seem to end it,
/// and backslashes.
inline std::string printable(std::string_view text) {
    std::string shown;
    for (const char each : text) {
        if (each > ' ' && each <= '~' && each != '\\') {
            shown += each;
        } else {
            std::array<char, 5> escaped{};
            std::snprintf(escaped.data(), escaped.size(), "\\x%02x", static_cast<unsigned char>(each));
            shown += escaped.data();
        }
    }
    return shown;
}

} // namespace coir::detail
