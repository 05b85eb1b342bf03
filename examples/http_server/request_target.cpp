#include "request_target.hpp"

#include <cctype>

namespace http_server {
namespace {

int hex_digit(char c) noexcept {
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20; // letters to lower case
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/// Appends the decoded `segment`, which contains no slash.
http_status append_decoded(std::string_view segment, std::string& path) {
    for (std::size_t i = 0; i < segment.size(); ++i) {
        char c = segment[i];
        if (c == '%') {
            if (segment.size() - i < 3)
                return HTTP_STATUS_BAD_REQUEST;
            const int high = hex_digit(segment[i + 1]);
            const int low = hex_digit(segment[i + 2]);
            if (high < 0 || low < 0)
                return HTTP_STATUS_BAD_REQUEST;
            c = static_cast<char>(high * 16 + low);
            i += 2;
        }
        if (c == '\0')
            return HTTP_STATUS_BAD_REQUEST;
        if (c == '/')
            return HTTP_STATUS_NOT_FOUND;
        path += c;
    }
    return HTTP_STATUS_OK;
}

/// "http://host:80/path" is what a proxy is sent, and every server must understand it (RFC 9112, 3.2.2).
std::string_view without_authority(std::string_view target) noexcept {
    if (target.starts_with('/'))
        return target;
    const std::size_t host = target.find("://");
    if (host == std::string_view::npos)
        return {};
    const std::size_t path = target.find_first_of("/?#", host + 3);
    return path != std::string_view::npos && target[path] == '/' ? target.substr(path) : "/";
}

} // namespace

http_status decode_target(std::string_view target, target_path& result) {
    result.path.clear();
    std::string_view rest = without_authority(target);
    if (rest.empty())
        return HTTP_STATUS_BAD_REQUEST;
    rest = rest.substr(0, rest.find_first_of("?#"));

    while (!rest.empty()) {
        rest.remove_prefix(1); // the slash
        const std::string_view segment = rest.substr(0, rest.find('/'));
        rest.remove_prefix(segment.size());

        const std::size_t length_before = result.path.size();
        if (length_before != 0)
            result.path += '/';
        const std::size_t start = result.path.size();
        if (const http_status status = append_decoded(segment, result.path); status != HTTP_STATUS_OK)
            return status;
        const std::string_view name = std::string_view{result.path}.substr(start);
        if (name == "..")
            return HTTP_STATUS_BAD_REQUEST;
        result.is_directory = name.empty() || name == ".";
        if (result.is_directory)
            result.path.resize(length_before);
    }
    return HTTP_STATUS_OK;
}

std::string encode_path(std::string_view path) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    constexpr std::string_view plain = "/-._~";
    std::string result;
    for (const char c : path) {
        const auto byte = static_cast<unsigned char>(c);
        if ((byte < 0x80 && std::isalnum(byte)) || plain.find(c) != std::string_view::npos) {
            result += c;
        } else {
            result += '%';
            result += digits[byte >> 4];
            result += digits[byte & 15];
        }
    }
    return result;
}

} // namespace http_server
