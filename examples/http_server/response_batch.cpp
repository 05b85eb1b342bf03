#include "response_batch.hpp"

#include <algorithm>
#include <charconv>
#include <span>
#include <string_view>
#include <system_error>
#include <utility>

namespace http_server {
namespace {

/// Writes text into memory that is known to suffice.
class appender {
public:
    explicit appender(char* start) noexcept : end_(start) {}
    appender& operator<<(std::string_view text) noexcept {
        end_ = std::copy(text.begin(), text.end(), end_);
        return *this;
    }
    appender& operator<<(http_status status) noexcept {
        end_ = std::to_chars(end_, end_ + 4, static_cast<unsigned>(status)).ptr;
        return *this;
    }
    [[nodiscard]] const char* end() const noexcept { return end_; }

private:
    char* end_;
};

/// What is left of `pieces` when `bytes` have been sent.
std::span<coir::io::const_buffer> without_first(std::span<coir::io::const_buffer> pieces, std::size_t bytes) noexcept {
    while (!pieces.empty() && pieces.front().size <= bytes) {
        bytes -= pieces.front().size;
        pieces = pieces.subspan(1);
    }
    if (!pieces.empty()) {
        pieces.front().data = static_cast<const char*>(pieces.front().data) + bytes;
        pieces.front().size -= bytes;
    }
    return pieces;
}

std::string_view line_of(connection_field connection) noexcept {
    switch (connection) {
    case connection_field::keep_alive:
        return "Connection: keep-alive\r\n";
    case connection_field::close:
        return "Connection: close\r\n";
    case connection_field::absent:
        break;
    }
    return {};
}

} // namespace

void response_batch::add(http_status status, const content_pointer& text, bool with_body, connection_field connection,
                         const this_second& now) noexcept {
    char* start = starts_[count_].data();
    appender out{start};
    if (status == HTTP_STATUS_OK)
        out << "HTTP/1.1 200 OK";
    else
        out << "HTTP/1.1 " << status << " " << std::string_view{http_status_str(status)};
    out << "\r\nServer: coir\r\nDate: " << now.date() << "\r\n" << line_of(connection);

    const std::string_view rest = with_body ? text->with_body() : text->without_body();
    pieces_[2 * count_] = {start, static_cast<std::size_t>(out.end() - start)};
    pieces_[2 * count_ + 1] = {rest.data(), rest.size()};
    contents_[count_] = text;
    ++count_;
}

bool response_batch::send(coir::net::tcp_stream& stream, this_second& now) {
    std::span<coir::io::const_buffer> pieces = std::span{pieces_}.first(2 * count_);
    std::error_code error;
    for (;;) {
        const std::size_t moved = stream.writev(pieces, error, now.idle_deadline());
        if (error != std::errc::timed_out || moved == 0)
            break;
        // Slow, but alive.
        pieces = without_first(pieces, moved);
        now.update();
    }
    for (content_pointer& sent : std::span{contents_}.first(std::exchange(count_, 0)))
        sent.reset();
    return !error;
}

} // namespace http_server
