#pragma once

#include <array>
#include <ctime>
#include <optional>
#include <string>

namespace http_server {

/// "Sun, 06 Nov 1994 08:49:37 GMT": the one form of a date that is sent (RFC 9110, 5.6.7). Not affected by the
/// locale.
[[nodiscard]] std::array<char, 29> format_http_date(std::time_t time) noexcept;

/// Reads that form. The two obsolete ones, which nobody has sent for decades, count as no date.
[[nodiscard]] std::optional<std::time_t> parse_http_date(const std::string& text) noexcept;

} // namespace http_server
