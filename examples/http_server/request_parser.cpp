#include "request_parser.hpp"

#include <algorithm>
#include <cctype>
#include <cstring>

namespace http_server {
namespace {

constexpr std::size_t target_limit = 8000; // what RFC 9112, 3 asks every server to accept at least

bool is_token_character(char c) noexcept {
    constexpr std::string_view others = "!#$%&'*+-.^_`|~";
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x80 && std::isalnum(byte)) || (c != '\0' && others.find(c) != std::string_view::npos);
}

/// Of names of fields: for all that they may consist of, the bit is what makes a letter a small one.
bool equal_ignoring_case(std::string_view text, std::string_view lower_case) noexcept {
    return std::ranges::equal(text, lower_case, [](char a, char b) { return (a | 0x20) == b; });
}

request_parser& self(http_parser* parser) noexcept {
    return *static_cast<request_parser*>(parser->data);
}

} // namespace

const http_parser_settings request_parser::settings = [] {
    http_parser_settings result;
    http_parser_settings_init(&result);
    result.on_message_begin = on_begin;
    result.on_url = on_target;
    result.on_header_field = on_field;
    result.on_header_value = on_value;
    result.on_headers_complete = on_head_end;
    result.on_message_complete = on_end;
    return result;
}();

// Initialised for each request, although http_parser could go on by itself: its counters then are this request's,
// and it has no opinion on whether the connection ought to have been closed.
void request_parser::begin() noexcept {
    http_parser_init(&parser_, HTTP_REQUEST);
    parser_.data = this;
    inside_ = false;
}

request_parser::progress request_parser::parse(std::string_view bytes) {
    progress result;
    result.consumed = http_parser_execute(&parser_, &settings, bytes.data(), bytes.size());
    switch (HTTP_PARSER_ERRNO(&parser_)) {
    case HPE_OK:
        break;
    case HPE_PAUSED:              // on_end()
    case HPE_CB_headers_complete: // on_head_end(): there is a body
        result.complete = true;
        result.failure = parser_.http_major == 1 ? HTTP_STATUS_OK : HTTP_STATUS_HTTP_VERSION_NOT_SUPPORTED;
        begin();
        break;
    default:
        result.failure = judge_failure(bytes, result.consumed);
        begin();
    }
    return result;
}

http_status request_parser::judge_failure(std::string_view bytes, std::size_t consumed) const noexcept {
    switch (HTTP_PARSER_ERRNO(&parser_)) {
    case HPE_CB_url:
        return HTTP_STATUS_URI_TOO_LONG;
    case HPE_HEADER_OVERFLOW:
        // The version ends the request line; without it the target has not ended either.
        return parser_.http_major == 0 ? HTTP_STATUS_URI_TOO_LONG : HTTP_STATUS_REQUEST_HEADER_FIELDS_TOO_LARGE;
    case HPE_INVALID_VERSION:
        return HTTP_STATUS_BAD_REQUEST;
    case HPE_INVALID_METHOD: {
        // A method nobody has heard of, in what otherwise looks like a request line, or noise?
        const auto is_line_end = [](char c) { return c == '\r' || c == '\n'; };
        const char* start = std::find_if_not(bytes.begin(), bytes.begin() + consumed, is_line_end);
        const char* end = std::find_if_not(start, bytes.end(), is_token_character);
        const bool is_word = start != end && (end == bytes.end() || *end == ' ');
        return is_word ? HTTP_STATUS_NOT_IMPLEMENTED : HTTP_STATUS_BAD_REQUEST;
    }
    default:
        return HTTP_STATUS_BAD_REQUEST;
    }
}

int request_parser::on_begin(http_parser* parser) {
    request_parser& here = self(parser);
    here.request_.target.clear();
    here.request_.if_modified_since.clear();
    here.request_.hosts = 0;
    here.in_value_ = true; // so that the first field starts a new name
    here.inside_ = true;
    return 0;
}

int request_parser::on_target(http_parser* parser, const char* data, std::size_t size) {
    std::string& target = self(parser).request_.target;
    if (target.size() + size > target_limit)
        return 1;
    target.append(data, size);
    return 0;
}

int request_parser::on_field(http_parser* parser, const char* data, std::size_t size) {
    request_parser& here = self(parser);
    if (here.in_value_) {
        here.in_value_ = false;
        here.field_size_ = 0;
    }
    if (here.field_size_ < here.field_name_.size())
        std::copy_n(data, std::min(size, here.field_name_.size() - here.field_size_),
                    here.field_name_.data() + here.field_size_);
    here.field_size_ += size;
    return 0;
}

void request_parser::classify_field() noexcept {
    const std::string_view name{field_name_.data(), std::min(field_size_, field_name_.size())};
    field_ = field::other;
    if (equal_ignoring_case(name, "host")) {
        field_ = field::host;
        ++request_.hosts;
    } else if (equal_ignoring_case(name, "if-modified-since")) {
        field_ = field::if_modified_since;
        request_.if_modified_since.clear();
    }
}

int request_parser::on_value(http_parser* parser, const char* data, std::size_t size) {
    request_parser& here = self(parser);
    if (!here.in_value_) {
        here.in_value_ = true;
        here.classify_field();
    }
    // http_parser lets it pass.
    if (std::memchr(data, '\0', size))
        return 1;
    if (here.field_ == field::if_modified_since && here.request_.if_modified_since.size() < 64)
        here.request_.if_modified_since.append(data, std::min<std::size_t>(size, 64));
    return 0;
}

int request_parser::on_head_end(http_parser* parser) {
    request& found = self(parser).request_;
    found.method = static_cast<http_method>(parser->method);
    found.minor_version = parser->http_minor;
    found.keep_alive = http_should_keep_alive(parser) != 0;
    const bool has_length = (parser->flags & F_CONTENTLENGTH) != 0 && parser->content_length != 0;
    found.has_body = has_length || (parser->flags & F_CHUNKED) != 0;
    return found.has_body ? -1 : 0; // 1 and 2 have meanings of their own here
}

int request_parser::on_end(http_parser* parser) {
    http_parser_pause(parser, 1);
    return 0;
}

} // namespace http_server
