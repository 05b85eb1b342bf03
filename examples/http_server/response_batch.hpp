#pragma once

#include "content.hpp"
#include "this_second.hpp"

#include <coir/io.hpp>
#include <coir/tcp_stream.hpp>

#include <array>
#include <cstddef>

namespace http_server {

/// What the Connection field of an answer says.
enum class connection_field { absent, keep_alive, close };

/// Answers that are sent together: all that are due for one read of a client that does not wait for each
/// (pipelining) leave in one writev(). Nothing of their contents is copied.
class response_batch {
public:
    [[nodiscard]] bool is_full() const noexcept { return count_ == capacity; }
    [[nodiscard]] bool is_empty() const noexcept { return count_ == 0; }

    /// Adds an answer; there must be room.
    void add(http_status status, const content_pointer& text, bool with_body, connection_field connection,
             const this_second& now) noexcept;

    /// Sends all. Waits for a client that takes the bytes slowly, but not for one that takes none for
    /// idle_timeout. False, and the rest is dropped, when the client is gone. May suspend.
    bool send(coir::net::tcp_stream& stream, this_second& now);

private:
    static constexpr std::size_t capacity = 64;
    static constexpr std::size_t longest_start = 192; // status line, Server, Date, Connection

    std::array<coir::io::const_buffer, 2 * capacity> pieces_; // of each answer: start, content
    std::array<content_pointer, capacity> contents_;          // keep alive what pieces_ point to
    std::array<std::array<char, longest_start>, capacity> starts_;
    std::size_t count_ = 0;
};

} // namespace http_server
