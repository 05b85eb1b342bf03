#pragma once

#include <http_parser.h>

#include <cstddef>
#include <string>
#include <string_view>

namespace http_client {

/// Takes one answer out of a stream of bytes that arrives in pieces of any size. What ends it (Content-Length, the last chunk, the
/// end of the connection) is http_parser's business.
class answer_parser {
public:
    answer_parser() noexcept;
    answer_parser(const answer_parser&) = delete;
    answer_parser& operator=(const answer_parser&) = delete;

    /// The next bytes; none: the connection has ended. Throws std::runtime_error when this is no answer, or not all of one.
    void parse(std::string_view bytes);

    [[nodiscard]] bool is_complete() const noexcept { return complete_; }
    [[nodiscard]] unsigned status() const noexcept { return parser_.status_code; }
    [[nodiscard]] std::size_t body_size() const noexcept { return body_size_; }
    /// Where a redirection leads; "" if that is not said.
    [[nodiscard]] const std::string& location() const noexcept { return location_; }

private:
    // Called by http_parser with parser->data == this; a result other than 0 stops it.
    static int on_field(http_parser* parser, const char* data, std::size_t size);
    static int on_value(http_parser* parser, const char* data, std::size_t size);
    static int on_body(http_parser* parser, const char* data, std::size_t size);
    static int on_end(http_parser* parser);
    static const http_parser_settings settings;

    http_parser parser_;
    std::string field_; // name of the field under way, in small letters
    std::string location_;
    std::size_t body_size_ = 0;
    bool in_value_ = false;
    bool complete_ = false;
};

} // namespace http_client
