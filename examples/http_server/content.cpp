#include "content.hpp"

#include <map>

namespace http_server {

content::content(std::string_view fields, std::string_view body) {
    text_.reserve(fields.size() + 2 + body.size());
    text_.append(fields).append("\r\n");
    head_size_ = text_.size();
    text_.append(body);
}

content_pointer make_content(std::string_view type, std::string_view body, std::string_view fields) {
    std::string all{"Content-Type: "};
    all.append(type).append("\r\nContent-Length: ").append(std::to_string(body.size())).append("\r\n").append(fields);
    return std::make_shared<const content>(all, body);
}

content_pointer error_page(http_status status) {
    // A plain static, and a fiber may wait between its calls: nothing in here suspends.
    static std::map<http_status, content_pointer> pages;
    content_pointer& page = pages[status];
    if (!page) {
        const std::string body = std::to_string(status) + ' ' + http_status_str(status) + '\n';
        const bool is_method = status == HTTP_STATUS_METHOD_NOT_ALLOWED;
        page = make_content("text/plain; charset=utf-8", body, is_method ? "Allow: GET, HEAD\r\n" : "");
    }
    return page;
}

} // namespace http_server
