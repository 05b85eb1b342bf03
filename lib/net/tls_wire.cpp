#include "net/tls_wire.hpp"

#include "io/errors.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <sys/socket.h>
#include <utility>

namespace coir::detail {

ssize_t tls_wire::receive(std::span<std::byte> buffer) noexcept {
    if (drained_) {
        errno = EAGAIN;
        return -1;
    }
    ssize_t received = 0;
    do
        received = ::recv(socket_, buffer.data(), buffer.size(), MSG_DONTWAIT);
    while (received == -1 && errno == EINTR);
    // A stream that gives less than it was asked for has no more. Its end, or an error, comes with the next event.
    drained_ = received > 0 ? static_cast<std::size_t>(received) < buffer.size() : received == -1 && errno == EAGAIN;
    if (received == 0 && broken_ != 0) {
        errno = broken_;
        return -1;
    }
    if (received == -1)
        note_failure();
    return received;
}

// With errno, which may become what had ended the connection.
void tls_wire::note_failure() noexcept {
    if (ends_connection(errno))
        broken_ = errno;
    else if (errno == EPIPE && broken_ != 0)
        errno = broken_;
}

bool tls_wire::reserve(std::size_t bytes) noexcept {
    if (capacity_ - end_ >= bytes)
        return true;
    const std::size_t unsent = end_ - begin_;
    if (unsent + bytes > capacity_) {
        const std::size_t grown = std::max(unsent + bytes, 2 * unsent);
        std::unique_ptr<std::byte[]> larger{new (std::nothrow) std::byte[grown]};
        if (!larger)
            return false;
        if (unsent != 0)
            std::memcpy(larger.get(), stored_.get() + begin_, unsent);
        stored_ = std::move(larger);
        capacity_ = grown;
    } else {
        std::memmove(stored_.get(), stored_.get() + begin_, unsent);
    }
    begin_ = 0;
    end_ = unsent;
    return true;
}

bool tls_wire::store(std::span<const std::byte> bytes) noexcept {
    if (!reserve(bytes.size()))
        return false;
    if (!bytes.empty())
        std::memcpy(stored_.get() + end_, bytes.data(), bytes.size());
    end_ += bytes.size();
    return true;
}

bool tls_wire::send_or_store(std::span<const std::byte> bytes) noexcept {
    if (has_unsent() || refusal_ != 0)
        return store(bytes);
    const int before = errno;
    ssize_t sent = 0;
    do
        sent = ::send(socket_, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    while (sent == -1 && errno == EINTR);
    if (sent == -1 && errno != EAGAIN) {
        note_failure();
        refusal_ = errno;
    }
    errno = before;
    const auto taken = static_cast<std::size_t>(std::max<ssize_t>(sent, 0));
    sent_ += taken;
    return store(bytes.subspan(taken));
}

bool tls_wire::send_stored() noexcept {
    if (refusal_ != 0) {
        errno = std::exchange(refusal_, 0);
        return false;
    }
    while (has_unsent()) {
        const ssize_t sent = ::send(socket_, stored_.get() + begin_, end_ - begin_, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent >= 0) {
            begin_ += static_cast<std::size_t>(sent);
            sent_ += static_cast<std::uint64_t>(sent);
        } else if (errno != EINTR) {
            note_failure();
            return false;
        }
    }
    drop_stored();
    return true;
}

void tls_wire::drop_stored() noexcept {
    stored_.reset();
    capacity_ = begin_ = end_ = 0;
}

} // namespace coir::detail
