#pragma once

#include "io/borrowed.hpp"
#include "io/descriptor_slot.hpp"

#include <coir/io.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <poll.h>
#include <span>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/// \file
/// What the blocking calls of io.hpp do between their waits: see Work in io/perform.hpp.
namespace coir::detail {

/// When a transfer has done enough.
enum class amount : bool { some, all };

inline bool is_socket(descriptor_kind kind) noexcept {
    return kind == descriptor_kind::stream_socket || kind == descriptor_kind::message_socket;
}

class reading {
public:
    static constexpr direction way = direction::read;
    static constexpr bool takes = true;

    reading(std::span<std::byte> buffer, amount wanted) noexcept : rest_(buffer), wanted_(wanted) {}

    [[nodiscard]] bool is_empty() const noexcept { return rest_.empty(); }
    [[nodiscard]] ssize_t attempt(descriptor_kind kind, int number) const noexcept {
        // Ours are in non-blocking mode, but the mode is of the file, which a child may share and change.
        if (is_socket(kind)) [[likely]]
            return ::recv(number, rest_.data(), rest_.size(), MSG_DONTWAIT);
        if (kind != descriptor_kind::borrowed)
            return ::read(number, rest_.data(), rest_.size());
        const iovec piece{rest_.data(), rest_.size()};
        return read_borrowed(number, &piece, 1);
    }
    [[nodiscard]] bool is_short(ssize_t moved) const noexcept { return static_cast<std::size_t>(moved) < rest_.size(); }
    bool advance(ssize_t moved) noexcept {
        rest_ = rest_.subspan(static_cast<std::size_t>(moved));
        return wanted_ == amount::some || rest_.empty();
    }

private:
    std::span<std::byte> rest_;
    amount wanted_;
};

class writing {
public:
    static constexpr direction way = direction::write;
    static constexpr bool takes = true;

    writing(std::span<const std::byte> buffer, amount wanted) noexcept : rest_(buffer), wanted_(wanted) {}

    [[nodiscard]] bool is_empty() const noexcept { return rest_.empty(); }
    [[nodiscard]] ssize_t attempt(descriptor_kind kind, int number) const noexcept {
        if (is_socket(kind)) [[likely]]
            return ::send(number, rest_.data(), rest_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (kind != descriptor_kind::borrowed)
            return ::write(number, rest_.data(), rest_.size());
        const iovec piece{const_cast<std::byte*>(rest_.data()), rest_.size()};
        return write_borrowed(number, &piece, 1);
    }
    [[nodiscard]] bool is_short(ssize_t moved) const noexcept { return static_cast<std::size_t>(moved) < rest_.size(); }
    bool advance(ssize_t moved) noexcept {
        rest_ = rest_.subspan(static_cast<std::size_t>(moved));
        return wanted_ == amount::some || rest_.empty();
    }

private:
    std::span<const std::byte> rest_;
    amount wanted_;
};

/// What is left of a list of buffers. The system sees a window of it.
template <class Buffer> class pieces {
public:
    explicit pieces(std::span<const Buffer> buffers) noexcept : rest_(buffers) { advance(0); }

    [[nodiscard]] bool is_empty() const noexcept { return rest_.empty(); }
    [[nodiscard]] std::size_t window_bytes() const noexcept { return window_bytes_; }

    /// The next pieces; the first is not empty.
    std::span<iovec> window() noexcept {
        const std::size_t count = std::min(rest_.size(), window_.size());
        window_bytes_ = 0;
        for (std::size_t i = 0; i < count; ++i) {
            const std::size_t skipped = i == 0 ? offset_ : 0;
            auto* data = static_cast<std::byte*>(const_cast<void*>(rest_[i].data));
            window_[i] = {data + skipped, rest_[i].size - skipped};
            window_bytes_ += window_[i].iov_len;
        }
        return std::span{window_}.first(count);
    }

    void advance(std::size_t moved) noexcept {
        offset_ += moved;
        while (!rest_.empty() && offset_ >= rest_.front().size) {
            offset_ -= rest_.front().size;
            rest_ = rest_.subspan(1);
        }
    }

private:
    std::span<const Buffer> rest_;
    std::size_t offset_ = 0; // into the first
    std::size_t window_bytes_ = 0;
    std::array<iovec, 64> window_; // less than IOV_MAX; a call with more pieces takes several system calls
};

class reading_pieces {
public:
    static constexpr direction way = direction::read;
    static constexpr bool takes = true;

    explicit reading_pieces(std::span<const io::mutable_buffer> buffers) noexcept : pieces_(buffers) {}

    [[nodiscard]] bool is_empty() const noexcept { return pieces_.is_empty(); }
    ssize_t attempt(descriptor_kind kind, int number) noexcept {
        const std::span<iovec> window = pieces_.window();
        if (is_socket(kind)) {
            msghdr message{};
            message.msg_iov = window.data();
            message.msg_iovlen = window.size();
            return ::recvmsg(number, &message, MSG_DONTWAIT);
        }
        const int count = static_cast<int>(window.size());
        if (kind != descriptor_kind::borrowed)
            return ::readv(number, window.data(), count);
        return read_borrowed(number, window.data(), count);
    }
    [[nodiscard]] bool is_short(ssize_t moved) const noexcept {
        return static_cast<std::size_t>(moved) < pieces_.window_bytes();
    }
    static bool advance(ssize_t) noexcept { return true; }

private:
    pieces<io::mutable_buffer> pieces_;
};

class writing_pieces {
public:
    static constexpr direction way = direction::write;
    static constexpr bool takes = true;

    explicit writing_pieces(std::span<const io::const_buffer> buffers) noexcept : pieces_(buffers) {}

    [[nodiscard]] bool is_empty() const noexcept { return pieces_.is_empty(); }
    ssize_t attempt(descriptor_kind kind, int number) noexcept {
        const std::span<iovec> window = pieces_.window();
        if (is_socket(kind)) {
            msghdr message{};
            message.msg_iov = window.data();
            message.msg_iovlen = window.size();
            return ::sendmsg(number, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
        }
        const int count = static_cast<int>(window.size());
        if (kind != descriptor_kind::borrowed)
            return ::writev(number, window.data(), count);
        return write_borrowed(number, window.data(), count);
    }
    [[nodiscard]] bool is_short(ssize_t moved) const noexcept {
        return static_cast<std::size_t>(moved) < pieces_.window_bytes();
    }
    bool advance(ssize_t moved) noexcept {
        pieces_.advance(static_cast<std::size_t>(moved));
        return pieces_.is_empty();
    }

private:
    pieces<io::const_buffer> pieces_;
};

/// Only asks. Takes nothing, so it neither queues behind others nor calls them.
class asking {
public:
    static constexpr bool takes = false;
    const direction way;

    explicit asking(direction ready_for) noexcept : way(ready_for) {}

    static bool is_empty() noexcept { return false; }
    [[nodiscard]] ssize_t attempt(descriptor_kind, int number) const noexcept {
        pollfd asked{number, static_cast<short>(way == direction::read ? POLLIN : POLLOUT), 0};
        const int ready = ::poll(&asked, 1, 0);
        if (ready == -1)
            return -1;
        errno = asked.revents & POLLNVAL ? EBADF : EAGAIN;
        return ready == 1 && !(asked.revents & POLLNVAL) ? 1 : -1;
    }
    static bool is_short(ssize_t) noexcept { return false; }
    static bool advance(ssize_t) noexcept { return true; }
};

} // namespace coir::detail
