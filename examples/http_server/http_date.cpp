#include "http_date.hpp"

#include <algorithm>

namespace http_server {

std::array<char, 29> format_http_date(std::time_t time) noexcept {
    std::tm parts{};
    gmtime_r(&time, &parts);
    std::array<char, 30> text{};
    // The program never calls setlocale(), so %a and %b are English.
    std::strftime(text.data(), text.size(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
    std::array<char, 29> result{};
    std::copy_n(text.begin(), result.size(), result.begin());
    return result;
}

std::optional<std::time_t> parse_http_date(const std::string& text) noexcept {
    std::tm parts{};
    const char* end = strptime(text.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
    if (!end || *end != '\0')
        return std::nullopt;
    return timegm(&parts);
}

} // namespace http_server
