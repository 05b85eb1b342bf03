#pragma once

#include <http_parser.h>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace http_server {

/// What an answer says after its status line and the fields that depend on the moment: further fields, the empty
/// line, and the body, one after the other in memory, made once and sent as often as wanted. Never changed, so a
/// slow client may still be reading one that the cache has dropped.
class content {
public:
    /// `fields` are whole lines. They must tell the body's length (unless the status has no body).
    content(std::string_view fields, std::string_view body);

    [[nodiscard]] std::string_view with_body() const noexcept { return text_; }
    [[nodiscard]] std::string_view without_body() const noexcept {
        return std::string_view{text_}.substr(0, head_size_);
    }
    [[nodiscard]] std::size_t size() const noexcept { return text_.size(); }

private:
    std::string text_;
    std::size_t head_size_;
};

using content_pointer = std::shared_ptr<const content>;

/// Content-Type and Content-Length, and whatever else `fields` holds.
[[nodiscard]] content_pointer make_content(std::string_view type, std::string_view body, std::string_view fields = {});

/// A page that names the error, for a person who sees it. Made once for each status.
[[nodiscard]] content_pointer error_page(http_status status);

} // namespace http_server
