#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace http_client {

/// Where a page is.
struct url {
    bool is_secure = false; // https
    std::string host;       // without the brackets of an address of IPv6
    std::uint16_t port = 80;
    std::string target; // path and query: "/search?q=1"

    /// Of "http://host:port/path" or https. Throws std::invalid_argument.
    [[nodiscard]] static url parse(std::string_view text);

    /// Where a redirection from here to `location` leads: another URL, or a path on the same host. Throws as parse().
    [[nodiscard]] url resolve(std::string_view location) const;

    /// For the Host field: the port only where it is not the usual one.
    [[nodiscard]] std::string authority() const;
};

} // namespace http_client
