#pragma once

#include <http_parser.h>

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

namespace http_server {

/// What a client asks for, as far as this server cares.
struct request {
    http_method method = HTTP_GET;
    std::string target;            // as sent, undecoded
    std::string if_modified_since; // "" if absent
    unsigned hosts = 0;            // number of Host fields
    unsigned short minor_version = 1;
    bool keep_alive = false; // the client does not mind further requests on this connection
    bool has_body = false;
};

/// Takes requests out of a stream of bytes that arrives in pieces of any size: http_parser, and the judgement
/// which answer a malformed request deserves. The strings of the request are reused: no allocation in the steady
/// state.
class request_parser {
public:
    struct progress {
        std::size_t consumed = 0;             // bytes of the input that are done with
        bool complete = false;                // there is a request: see get()
        http_status failure = HTTP_STATUS_OK; // otherwise the stream is beyond repair: answer this and close
    };

    request_parser() noexcept { begin(); }

    /// Parses the next bytes, up to the end of one request. A request that has a body is complete without it: what
    /// follows is not a request, and the connection cannot be used further.
    progress parse(std::string_view bytes);

    /// A request has begun and is not complete yet.
    [[nodiscard]] bool is_inside() const noexcept { return inside_; }

    /// The last complete request; until the next call of parse().
    [[nodiscard]] const request& get() const noexcept { return request_; }

    /// Forgets what has been parsed of an incomplete request: the connection is gone.
    void reset() noexcept { begin(); }

    /// For all parsers: more bytes than this of request line and fields are 431 (or 414, if the line alone is that
    /// long).
    static void set_header_limit(std::uint32_t bytes) noexcept { http_parser_set_max_header_size(bytes); }

private:
    enum class field { other, host, if_modified_since };

    // Called by http_parser with parser->data == this; a result other than 0 stops it.
    static int on_begin(http_parser* parser);
    static int on_target(http_parser* parser, const char* data, std::size_t size);
    static int on_field(http_parser* parser, const char* data, std::size_t size);
    static int on_value(http_parser* parser, const char* data, std::size_t size);
    static int on_head_end(http_parser* parser);
    static int on_end(http_parser* parser);
    static const http_parser_settings settings;

    void begin() noexcept;
    void classify_field() noexcept;
    [[nodiscard]] http_status judge_failure(std::string_view bytes, std::size_t consumed) const noexcept;

    http_parser parser_;
    request request_;
    std::array<char, 24> field_name_; // enough for the names that matter
    std::size_t field_size_ = 0;      // of the name, also if it does not fit
    field field_ = field::other;
    bool in_value_ = false;
    bool inside_ = false;
};

} // namespace http_server
