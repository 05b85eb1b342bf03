#include <coir/copy.hpp>

#include "io/borrowed.hpp"
#include "io/call.hpp"
#include "io/kernel_transfer.hpp"
#include "io/place.hpp"
#include "io/transfer.hpp"
#include "io/transfer_end.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <memory>
#include <new>
#include <poll.h>
#include <string>
#include <sys/socket.h>
#include <unistd.h>

/// \file
/// Every way but the last leaves in `from` what `to` has not taken: the kernel's own, sending a file from its position,
/// and looking at what a socket has (MSG_PEEK) before taking as much as was written. Between looking and taking nothing
/// suspends, so no other fiber comes between.
namespace coir {
namespace detail {
namespace {

// From a stream socket, as one call on `to`.
class peeking {
public:
    static constexpr direction way = direction::write;
    static constexpr bool takes = true;

    peeking(const transfer_end& from, const transfer_end& to, std::size_t limit, std::span<std::byte> buffer) noexcept
        : from_(from), to_(to), rest_(limit), buffer_(buffer) {}

    [[nodiscard]] std::size_t moved() const noexcept { return moved_; }
    enum class state { going_on, starved, ended };
    /// Why the call was left.
    [[nodiscard]] state left_for() const noexcept { return state_; }
    /// Of `from`, with which it has ended, if any: maybe long ago, since in the kernel's eyes a reset is told once only.
    [[nodiscard]] int error() const noexcept { return error_; }
    void resume() noexcept { state_ = state::going_on; }

    [[nodiscard]] bool is_empty() const noexcept { return rest_ == 0; }
    ssize_t attempt(descriptor_kind kind, int number) noexcept {
        if (!from_.is_still_open() || !to_.is_still_open()) {
            errno = EBADF;
            return -1;
        }
        const ssize_t seen =
            ::recv(from_.number, buffer_.data(), std::min(rest_, buffer_.size()), MSG_PEEK | MSG_DONTWAIT);
        if (seen == 0) {
            error_ = from_.slot->broken;
            return leave(state::ended);
        }
        if (seen == -1) {
            if (errno == EINTR)
                return -1;
            error_ = errno;
            note_broken(from_, error_);
            return leave(error_ == EAGAIN ? state::starved : state::ended);
        }
        const ssize_t written =
            writing{buffer_.first(static_cast<std::size_t>(seen)), amount::some}.attempt(kind, number);
        if (written > 0)
            take(static_cast<std::size_t>(written));
        return written;
    }
    static bool is_short(ssize_t) noexcept { return false; }
    bool advance(ssize_t moved) noexcept {
        if (state_ != state::going_on)
            return true;
        const auto size = static_cast<std::size_t>(moved);
        moved_ += size;
        rest_ -= size;
        return rest_ == 0;
    }

private:
    ssize_t leave(state why) noexcept {
        state_ = why;
        return 1;
    }

    // Of TCP, the kernel throws them away without copying; of others it copies them once more to where they are.
    void take(std::size_t size) noexcept {
        while (size > 0) {
            const ssize_t taken = ::recv(from_.number, buffer_.data(), size, MSG_TRUNC | MSG_DONTWAIT);
            if (taken > 0)
                size -= static_cast<std::size_t>(taken);
            else if (taken == 0 || (errno != EINTR && !is_ready(from_.number, POLLIN)))
                return; // reset meanwhile: they are not there any more, either
        }
    }

    const transfer_end& from_;
    const transfer_end& to_;
    std::size_t rest_;
    std::size_t moved_ = 0;
    std::span<std::byte> buffer_;
    state state_ = state::going_on;
    int error_ = 0;
};

outcome copy_from_socket(loop& here, const transfer_end& from, const transfer_end& to, std::size_t limit,
                         deadline until) noexcept {
    constexpr std::size_t buffer_size = std::size_t{32} * 1024;
    const std::unique_ptr<std::byte[]> buffer{new (std::nothrow) std::byte[buffer_size]};
    if (!buffer)
        return {0, ENOMEM};
    peeking work{from, to, limit, {buffer.get(), buffer_size}};
    for (;;) {
        const int error = perform(here, to.number, work, until).error;
        if (error != 0)
            return {work.moved(), error};
        switch (work.left_for()) {
        case peeking::state::going_on:
            return {work.moved(), 0};
        case peeking::state::ended:
            return {work.moved(), work.error()};
        case peeking::state::starved:
            break;
        }
        work.resume();
        if (const int failure = wait_until_ready(here, from, direction::read, until); failure != 0)
            return {work.moved(), failure};
    }
}

outcome copy_file(loop& here, const transfer_end& from, int to, std::size_t limit, deadline until) noexcept {
    const off_t position = ::lseek(from.number, 0, SEEK_CUR);
    if (position == -1)
        return {0, errno};
    const outcome done = send_file(here, to, from.number, static_cast<std::uint64_t>(position), limit, until);
    if (from.is_still_open())
        ::lseek(from.number, position + static_cast<off_t>(done.bytes), SEEK_SET);
    return done;
}

// What is read is out of reach: so it is read when there is room, no more than what room means.
outcome copy_in_small_pieces(loop& here, const transfer_end& from, const transfer_end& to, std::size_t limit,
                             deadline until) noexcept {
    std::array<std::byte, PIPE_BUF> buffer;
    outcome done;
    while (done.error == 0 && done.bytes < limit) {
        done.error = wait_until_ready(here, to, direction::write, until);
        if (done.error == 0 && !from.is_still_open())
            done.error = EBADF;
        if (done.error != 0)
            break;
        const std::span piece = std::span{buffer}.first(std::min(buffer.size(), limit - done.bytes));
        reading read{piece, amount::some};
        const outcome got = perform(here, from.number, read, until);
        done.error = got.error == 0 && !to.is_still_open() ? EBADF : got.error;
        if (done.error != 0 || got.bytes == 0)
            break;
        writing write{piece.first(got.bytes), amount::all};
        const outcome written = perform(here, to.number, write, until);
        done.bytes += written.bytes;
        done.error = written.error;
    }
    return done;
}

outcome copy(loop& here, int from, int to, std::size_t limit, deadline until) noexcept {
    if (here.refuses())
        return {0, was_cancelled};
    const transfer_end source = transfer_end::of(here, from);
    const transfer_end sink = transfer_end::of(here, to);
    if (source.error != 0 || sink.error != 0)
        return {0, source.error != 0 ? source.error : sink.error};
    if (source.kind == descriptor_kind::message_socket || sink.kind == descriptor_kind::message_socket)
        return {0, EINVAL};
    if (source.kind == descriptor_kind::pipe || sink.kind == descriptor_kind::pipe) {
        const outcome done = splice(here, from, to, limit, until);
        if (done.error != EINVAL || done.bytes != 0)
            return done;
    }
    switch (source.kind) {
    case descriptor_kind::file:
        return copy_file(here, source, to, limit, until);
    case descriptor_kind::stream_socket:
        return copy_from_socket(here, source, sink, limit, until);
    default:
        return copy_in_small_pieces(here, source, sink, limit, until);
    }
}

} // namespace

std::size_t copy_buffered(io::buffered_reader& from, const sink_reference& to, std::size_t limit,
                          std::error_code& error, deadline until) noexcept {
    error.clear();
    std::size_t moved = 0;
    while (moved < limit && !error) {
        std::span<const std::byte> piece = from.peek(1, error, until);
        if (error || piece.empty())
            break;
        piece = piece.first(std::min(piece.size(), limit - moved));
        const std::size_t written = to.write(piece, {}, error, until);
        from.consume(written);
        moved += written;
    }
    return moved;
}

std::size_t copy_buffered(io::buffered_reader& from, const sink_reference& to, std::size_t limit, deadline until) {
    const char* operation = "io::copy";
    static_cast<void>(loop::of_running_fiber(operation));
    std::error_code error;
    const std::size_t moved = copy_buffered(from, to, limit, error, until);
    if (error) {
        throw_if_cancelled(error, operation, moved);
        throw io::transfer_error(
            error, to.handle() == no_handle ? operation : operation + (" to " + name_of(to.handle(), error)), moved);
    }
    return moved;
}

} // namespace detail

namespace io {

std::size_t copy(int from, int to, std::size_t limit, deadline until) {
    return detail::in_loop("io::copy", from, to,
                           [&](detail::loop& here) { return detail::copy(here, from, to, limit, until); });
}

std::size_t copy(int from, int to, std::size_t limit, std::error_code& error, deadline until) noexcept {
    return detail::in_loop(error, [&](detail::loop& here) { return detail::copy(here, from, to, limit, until); });
}

} // namespace io
} // namespace coir
