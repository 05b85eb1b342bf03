#include <coir/io.hpp>

#include "io/borrowed.hpp"
#include "io/call.hpp"
#include "io/kernel_transfer.hpp"
#include "io/transfer.hpp"
#include "io/transfer_end.hpp"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <new>

namespace coir {
namespace detail {
namespace {

class sending_file {
public:
    static constexpr direction way = direction::write;
    static constexpr bool takes = true;

    sending_file(const transfer_end& out, const transfer_end& file, off_t offset, std::size_t count) noexcept
        : out_(out), file_(file), offset_(offset), rest_(count), through_buffer_(!out.never_blocks) {}

    [[nodiscard]] std::size_t sent() const noexcept { return sent_; }

    [[nodiscard]] bool is_empty() const noexcept { return rest_ == 0; }
    ssize_t attempt(descriptor_kind kind, int number) noexcept {
        if (!file_.is_still_open()) {
            errno = EBADF;
            return -1;
        }
        ssize_t moved = -1;
        if (!through_buffer_) {
            moved = quiet_sendfile(out_, file_.number, offset_, std::min(rest_, most_at_once));
            if (moved == 0)
                return end();
            if (moved > 0 || (errno != EINVAL && errno != ENOSYS))
                return moved;
            through_buffer_ = true; // these two files are not for sendfile
        }
        return send_through_buffer(kind, number);
    }
    static bool is_short(ssize_t) noexcept { return false; }
    bool advance(ssize_t moved) noexcept {
        if (has_ended_)
            return true;
        const auto size = static_cast<std::size_t>(moved);
        sent_ += size;
        rest_ -= size;
        offset_ += moved;
        return rest_ == 0;
    }

private:
    // The file ends here. Nothing to perform() is an error of a device; so it is told of one byte, and not asked for its count.
    ssize_t end() noexcept {
        has_ended_ = true;
        return 1;
    }

    // What cannot be written now is read again the next time.
    ssize_t send_through_buffer(descriptor_kind kind, int number) noexcept {
        if (!buffer_) {
            buffer_.reset(new (std::nothrow) std::byte[buffer_size]);
            if (!buffer_) {
                errno = ENOMEM;
                return -1;
            }
        }
        const ssize_t read = pread_borrowed(file_.number, buffer_.get(), std::min(rest_, buffer_size), offset_);
        if (read == 0)
            return end();
        if (read == -1) {
            if (errno == EAGAIN) // a terminal, which has no offsets either; perform() would wait for the other one
                errno = ESPIPE;
            return -1;
        }
        return writing{{buffer_.get(), static_cast<std::size_t>(read)}, amount::some}.attempt(kind, number);
    }

    static constexpr std::size_t buffer_size = std::size_t{16} * 1024;

    const transfer_end& out_;
    const transfer_end& file_;
    off_t offset_;
    std::size_t rest_;
    std::size_t sent_ = 0;
    bool through_buffer_;
    bool has_ended_ = false;
    std::unique_ptr<std::byte[]> buffer_;
};

} // namespace

outcome send_file(loop& here, int out, int file, std::uint64_t offset, std::size_t count, deadline until) noexcept {
    if (here.refuses())
        return {0, was_cancelled};
    if (offset > static_cast<std::uint64_t>(std::numeric_limits<off_t>::max()))
        return {0, EINVAL};
    const transfer_end sink = transfer_end::of(here, out);
    const transfer_end source = transfer_end::of(here, file);
    if (sink.error != 0 || source.error != 0)
        return {0, sink.error != 0 ? sink.error : source.error};
    sending_file work{sink, source, static_cast<off_t>(offset), count};
    const int error = perform(here, out, work, until).error;
    return {work.sent(), error};
}

} // namespace detail

namespace io {

std::size_t send_file(int out, int file, std::uint64_t offset, std::size_t count, deadline until) {
    return detail::in_loop("io::send_file", file, out, [&](detail::loop& here) {
        return detail::send_file(here, out, file, offset, count, until);
    });
}

std::size_t send_file(int out, int file, std::uint64_t offset, std::size_t count, std::error_code& error,
                      deadline until) noexcept {
    return detail::in_loop(
        error, [&](detail::loop& here) { return detail::send_file(here, out, file, offset, count, until); });
}

} // namespace io
} // namespace coir
