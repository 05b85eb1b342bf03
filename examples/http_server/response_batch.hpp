#pragma once

#include "client_stream.hpp"
#include "content.hpp"
#include "this_second.hpp"

#include <coir/io.hpp>

#include <array>
#include <cstddef>
#include <string_view>

namespace http_server {

/// What the Connection field of an answer says.
enum class connection_field { absent, keep_alive, close };

/// Answers that are sent together: all that are due for one read of a client that does not wait for each (pipelining)
/// leave in one system call.
///
/// Small contents are copied behind the lines that depend on the moment, so that an ordinary answer is one piece: the
/// kernel takes one piece faster than two by more than copying costs. Large ones are sent from where they are.
class response_batch {
public:
    /// There is no room for another answer: send() first.
    [[nodiscard]] bool is_full() const noexcept {
        return used_ + longest_start + largest_copied > text_.size() || count_ + 2 > pieces_.size();
    }

    /// Adds an answer; there must be room. `text` is kept alive as long as needed.
    void add(http_status status, const content_pointer& text, bool with_body, connection_field connection,
             const this_second& now) noexcept;

    /// Sends all. Waits for a client that takes the bytes slowly, but not for one that takes none for
    /// idle_timeout. False, and the rest is dropped, when the client is gone. May suspend.
    bool send(client_stream& stream, this_second& now);

private:
    static constexpr std::size_t longest_start = 192;       // status line, Server, Date, Connection
    static constexpr std::size_t largest_copied = 2 * 1024; // of the fields and the body of a content

    void copy(std::string_view text) noexcept;
    void refer_to(std::string_view text, const content_pointer& owner) noexcept;

    std::size_t used_ = 0;  // of text_
    std::size_t count_ = 0; // of pieces_
    std::array<coir::io::const_buffer, 32> pieces_;
    std::array<content_pointer, 32> owners_; // of what pieces_ refer to outside of text_
    std::array<char, 16 * 1024> text_;
};

} // namespace http_server
