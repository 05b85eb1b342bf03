#include "net/message.hpp"

#include "io/ownership.hpp"
#include "io/perform.hpp"
#include "net/retry.hpp"
#include "net/unix_endpoint_storage.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <sys/socket.h>
#include <unistd.h>

namespace coir::detail {
namespace {

// The kernel's limit for one message (SCM_MAX_FD).
constexpr std::size_t most_descriptors = 253;

// Room for them, and before them for the sender's credentials (SO_PASSCRED), aligned as the kernel wants it.
constexpr std::size_t room_for_sender = CMSG_SPACE(sizeof(ucred));
struct control_buffer {
    alignas(cmsghdr) std::array<std::byte, room_for_sender + CMSG_SPACE(most_descriptors * sizeof(int))> bytes;
};

// A pidfd of the sender (SO_PASSPIDFD, Linux 6.5).
constexpr int pidfd_message = 4;

class sending_message {
public:
    static constexpr direction way = direction::write;
    static constexpr bool takes = true;

    sending_message(bool is_stream, std::span<const std::byte> data, std::span<const int> descriptors,
                    const net::unix_endpoint* to) noexcept
        : rest_(data), descriptors_(descriptors), generations_(generations()), to_(to), is_stream_(is_stream) {}

    static bool is_empty() noexcept { return false; }

    ssize_t attempt(descriptor_kind, int number) noexcept {
        control_buffer control;
        iovec piece{const_cast<std::byte*>(rest_.data()), rest_.size()};
        msghdr header{};
        header.msg_iov = &piece;
        header.msg_iovlen = 1;
        if (to_) {
            header.msg_name = const_cast<void*>(to_->native());
            header.msg_namelen = static_cast<socklen_t>(to_->native_size());
        }
        if (!descriptors_.empty()) {
            // One was closed while this waited: its number may be that of a file which is not for the peer.
            if (generations() != generations_) {
                errno = EBADF;
                return -1;
            }
            header.msg_control = control.bytes.data();
            header.msg_controllen = CMSG_SPACE(descriptors_.size_bytes());
            auto& first = *new (control.bytes.data()) cmsghdr{}; // CMSG_FIRSTHDR()
            first.cmsg_level = SOL_SOCKET;
            first.cmsg_type = SCM_RIGHTS;
            first.cmsg_len = CMSG_LEN(descriptors_.size_bytes());
            std::memcpy(CMSG_DATA(&first), descriptors_.data(), descriptors_.size_bytes());
        }
        const ssize_t sent = ::sendmsg(number, &header, MSG_DONTWAIT | MSG_NOSIGNAL);
        return sent != -1 && !is_stream_ ? 1 : sent;
    }
    static bool is_short(ssize_t) noexcept { return false; }
    bool advance(ssize_t sent) noexcept {
        if (!is_stream_)
            return true;
        descriptors_ = {}; // they have gone with the first byte
        rest_ = rest_.subspan(static_cast<std::size_t>(sent));
        return rest_.empty();
    }

private:
    // Each only ever grows.
    [[nodiscard]] std::uint64_t generations() const noexcept {
        std::uint64_t sum = 0;
        for (const int each : descriptors_)
            sum += ownership::generation(each);
        return sum;
    }

    std::span<const std::byte> rest_;
    std::span<const int> descriptors_;
    const std::uint64_t generations_; // of descriptors_ at the beginning
    const net::unix_endpoint* to_;
    bool is_stream_;
};

class receiving_message {
public:
    static constexpr direction way = direction::read;
    static constexpr bool takes = true;

    receiving_message(std::span<std::byte> buffer, std::size_t descriptors, net::unix_endpoint* from) noexcept
        : buffer_(buffer), wanted_(std::min(descriptors, most_descriptors)), from_(from) {}

    [[nodiscard]] bool is_empty() const noexcept { return buffer_.empty() && !is_datagram(); }

    ssize_t attempt(descriptor_kind, int number) noexcept {
        control_buffer control;
        iovec piece{buffer_.data(), buffer_.size()};
        msghdr header{};
        header.msg_iov = &piece;
        header.msg_iovlen = 1;
        if (from_) {
            header.msg_name = unix_endpoint_storage::address(*from_);
            header.msg_namelen = unix_endpoint_storage::capacity;
        }
        // Credentials that find no room would look like descriptors that found none.
        header.msg_control = control.bytes.data();
        header.msg_controllen = wanted_ != 0 ? control.bytes.size() : room_for_sender;
        const ssize_t size = ::recvmsg(number, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (size == -1)
            return -1;
        if (from_)
            unix_endpoint_storage::set_size(*from_, header.msg_namelen);
        result.size = static_cast<std::size_t>(size);
        result.truncated = (header.msg_flags & MSG_TRUNC) != 0;
        take_control_messages(header);
        if (size == 0 && !is_datagram())
            result.sender.reset();                    // nobody has sent the end
        return size == 0 && is_datagram() ? 1 : size; // an empty one is one as well; of a connection it is the end
    }
    static bool is_short(ssize_t) noexcept { return false; }
    static bool advance(ssize_t) noexcept { return true; }

    /// The descriptors become the owners' in `into`. Returns 0 or an errno; then all are closed.
    int hand_over(std::span<io::descriptor> into) noexcept {
        for (std::size_t i = 0; i < count_; ++i) {
            int error = 0;
            into[i] = ownership::adopt_received(numbers_[i], error);
            if (error != 0) { // that one is closed
                close_from(i + 1);
                for (std::size_t adopted = 0; adopted < i; ++adopted)
                    into[adopted] = {};
                return error;
            }
        }
        result.descriptors = count_;
        return 0;
    }

    net::received_message result;

private:
    [[nodiscard]] bool is_datagram() const noexcept { return from_ != nullptr; }

    void take_control_messages(msghdr& header) noexcept {
        count_ = 0;
        result.sender.reset();
        for (cmsghdr* each = CMSG_FIRSTHDR(&header); each; each = CMSG_NXTHDR(&header, each)) {
            if (each->cmsg_level != SOL_SOCKET)
                continue;
            const std::size_t size = each->cmsg_len - CMSG_LEN(0);
            if (each->cmsg_type == SCM_RIGHTS)
                take_descriptors(CMSG_DATA(each), size / sizeof(int));
            else if (each->cmsg_type == SCM_CREDENTIALS && size >= sizeof(ucred))
                take_sender(CMSG_DATA(each));
            else if (each->cmsg_type == pidfd_message && size >= sizeof(int))
                close_unasked(CMSG_DATA(each));
        }
        // Truncated: what did not fit, or found no free number, the kernel has closed already.
        result.descriptors_lost = (header.msg_flags & MSG_CTRUNC) != 0 || count_ > wanted_;
        if (result.descriptors_lost)
            close_from(0);
    }

    void take_descriptors(const unsigned char* data, std::size_t count) noexcept {
        count = std::min(count, most_descriptors - count_);
        std::memcpy(numbers_.data() + count_, data, count * sizeof(int));
        count_ += count;
    }

    void take_sender(const unsigned char* data) noexcept {
        ucred found{};
        std::memcpy(&found, data, sizeof found);
        result.sender = {found.pid, found.uid, found.gid};
    }

    static void close_unasked(const unsigned char* data) noexcept {
        int number = -1;
        std::memcpy(&number, data, sizeof number);
        if (number >= 0)
            ::close(number);
    }

    void close_from(std::size_t first) noexcept {
        for (std::size_t i = first; i < count_; ++i)
            ::close(numbers_[i]);
        count_ = 0;
    }

    std::span<std::byte> buffer_;
    std::size_t wanted_;
    net::unix_endpoint* from_; // null for connections
    std::size_t count_ = 0;
    std::array<int, most_descriptors> numbers_; // the first count_, not owned by anybody else
};

} // namespace

outcome send_message(loop& here, int socket, bool is_stream, std::span<const std::byte> data,
                     std::span<const int> descriptors, const net::unix_endpoint* to, deadline until) noexcept {
    if (descriptors.size() > most_descriptors || (is_stream && data.empty()))
        return {0, here.refuses() ? was_cancelled : EINVAL};
    sending_message work{is_stream, data, descriptors, to};
    if (!to)
        return perform(here, socket, work, until);
    // The receiver's queue may be full while this socket counts as writable: waiting for that would be a loop without a pause.
    retry again{here, socket};
    for (;;) {
        const outcome done = perform(here, socket, work, deadline::passed());
        if (done.error != ETIMEDOUT)
            return done;
        if (const int error = again.pause(until))
            return {0, error};
    }
}

int receive_message(loop& here, int socket, std::span<std::byte> buffer, std::span<io::descriptor> descriptors,
                    net::received_message& received, net::unix_endpoint* from, deadline until) noexcept {
    receiving_message work{buffer, descriptors.size(), from};
    int error = perform(here, socket, work, until).error;
    if (error == 0)
        error = work.hand_over(descriptors);
    received = work.result;
    return error;
}

} // namespace coir::detail
