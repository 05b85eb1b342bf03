#include "answer_parser.hpp"

#include <cctype>
#include <stdexcept>

namespace http_client {
namespace {

constexpr std::size_t longest_name = 64; // of those that matter; what else is sent need not be kept
constexpr std::size_t longest_location = 8000;

answer_parser& self(http_parser* parser) noexcept {
    return *static_cast<answer_parser*>(parser->data);
}

} // namespace

const http_parser_settings answer_parser::settings = [] {
    http_parser_settings result;
    http_parser_settings_init(&result);
    result.on_header_field = on_field;
    result.on_header_value = on_value;
    result.on_body = on_body;
    result.on_message_complete = on_end;
    return result;
}();

answer_parser::answer_parser() noexcept {
    http_parser_init(&parser_, HTTP_RESPONSE);
    parser_.data = this;
}

void answer_parser::parse(std::string_view bytes) {
    http_parser_execute(&parser_, &settings, bytes.data(), bytes.size());
    if (complete_) // what follows is not looked at
        return;
    if (bytes.empty())
        throw std::runtime_error("the connection ended before the answer did");
    if (const http_errno error = HTTP_PARSER_ERRNO(&parser_); error != HPE_OK)
        throw std::runtime_error(std::string{"the answer is not HTTP: "} + http_errno_description(error));
}

int answer_parser::on_field(http_parser* parser, const char* data, std::size_t size) {
    answer_parser& here = self(parser);
    if (here.in_value_)
        here.field_.clear();
    here.in_value_ = false;
    for (const char c : std::string_view{data, size})
        if (here.field_.size() < longest_name)
            here.field_ += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return 0;
}

int answer_parser::on_value(http_parser* parser, const char* data, std::size_t size) {
    answer_parser& here = self(parser);
    here.in_value_ = true;
    if (here.field_ == "location") {
        if (here.location_.size() + size > longest_location)
            return 1;
        here.location_.append(data, size);
    }
    return 0;
}

int answer_parser::on_body(http_parser* parser, const char*, std::size_t size) {
    self(parser).body_size_ += size;
    return 0;
}

int answer_parser::on_end(http_parser* parser) {
    answer_parser& here = self(parser);
    // "100 Continue" and its like come before the answer.
    here.complete_ = parser->status_code >= 200;
    if (here.complete_)
        http_parser_pause(parser, 1);
    return 0;
}

} // namespace http_client
