#include "response_batch.hpp"

#include <array>
#include <charconv>
#include <cstring>
#include <span>
#include <system_error>
#include <utility>

namespace http_server {
namespace {

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

std::size_t write(client_stream& stream, std::span<const coir::io::const_buffer> pieces, std::error_code& error,
                  coir::deadline until) noexcept {
    if (pieces.size() != 1)
        return stream.writev(pieces, error, until);
    const auto* data = static_cast<const std::byte*>(pieces.front().data);
    return stream.write_all({data, pieces.front().size}, error, until);
}

} // namespace

void response_batch::add(http_status status, const content_pointer& text, bool with_body, connection_field connection,
                         const this_second& now) noexcept {
    if (status == HTTP_STATUS_OK) [[likely]] {
        copy(now.start_of_success());
    } else {
        std::array<char, 4> digits; // and nobody has ever seen a status of more than three
        copy("HTTP/1.1 ");
        copy({digits.data(), std::to_chars(digits.begin(), digits.end(), static_cast<unsigned>(status)).ptr});
        copy(" ");
        copy(http_status_str(status));
        copy("\r\n");
        copy(now.common_fields());
    }
    copy(line_of(connection));

    const std::string_view rest = with_body ? text->with_body() : text->without_body();
    if (rest.size() <= largest_copied)
        copy(rest);
    else
        refer_to(rest, text);
}

/// Appends to text_, and to the last piece if that ends there.
void response_batch::copy(std::string_view text) noexcept {
    if (text.empty())
        return;
    char* const end = text_.data() + used_;
    std::memcpy(end, text.data(), text.size());
    used_ += text.size();
    if (count_ != 0 && !owners_[count_ - 1])
        pieces_[count_ - 1].size += text.size();
    else
        pieces_[count_++] = {end, text.size()};
}

void response_batch::refer_to(std::string_view text, const content_pointer& owner) noexcept {
    owners_[count_] = owner;
    pieces_[count_++] = {text.data(), text.size()};
}

bool response_batch::send(client_stream& stream, this_second& now) {
    std::span<coir::io::const_buffer> pieces = std::span{pieces_}.first(count_);
    std::error_code error;
    for (;;) {
        const std::size_t moved = write(stream, pieces, error, now.idle_deadline());
        if (error != std::errc::timed_out || moved == 0)
            break;
        // Slow, but alive.
        pieces = without_first(pieces, moved);
        now.update();
    }
    for (content_pointer& sent : std::span{owners_}.first(std::exchange(count_, 0)))
        sent.reset();
    used_ = 0;
    return !error;
}

} // namespace http_server
