#include "url.hpp"

#include <http_parser.h>
#include <stdexcept>

namespace http_client {

url url::parse(std::string_view text) {
    http_parser_url found;
    http_parser_url_init(&found);
    const auto field = [&](http_parser_url_fields which) {
        const auto& place = found.field_data[which];
        return (found.field_set & (1U << which)) != 0 ? text.substr(place.off, place.len) : std::string_view{};
    };
    if (http_parser_parse_url(text.data(), text.size(), 0, &found) != 0 || field(UF_HOST).empty())
        throw std::invalid_argument("not a URL: " + std::string{text});
    const std::string_view scheme = field(UF_SCHEMA);
    if (scheme != "http" && scheme != "https")
        throw std::invalid_argument("neither http nor https: " + std::string{text});

    url result;
    result.is_secure = scheme == "https";
    result.host = field(UF_HOST);
    result.port = found.port;
    if (found.port == 0)
        result.port = result.is_secure ? 443 : 80;
    result.target = field(UF_PATH).empty() ? "/" : field(UF_PATH);
    if (!field(UF_QUERY).empty())
        result.target.append("?").append(field(UF_QUERY));
    return result;
}

url url::resolve(std::string_view location) const {
    if (location.starts_with("//"))
        return parse((is_secure ? "https:" : "http:") + std::string{location});
    if (!location.starts_with('/'))
        return parse(location);
    url result = *this;
    result.target = location.substr(0, location.find('#'));
    return result;
}

std::string url::authority() const {
    std::string result = host.find(':') == std::string::npos ? host : '[' + host + ']';
    if (port != (is_secure ? 443 : 80))
        result += ':' + std::to_string(port);
    return result;
}

} // namespace http_client
