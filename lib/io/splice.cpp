#include <coir/io.hpp>

#include "io/borrowed.hpp"
#include "io/call.hpp"
#include "io/kernel_transfer.hpp"
#include "io/transfer.hpp"
#include "io/transfer_end.hpp"

#include <algorithm>
#include <poll.h>

/// \file
/// One system call, two descriptors that may have to be waited for. The call is performed on the side of `in`, among
/// whose readers it queues. EAGAIN does not say which of the two is meant: when `in` is ready it is `out`, and the call is
/// left, to wait there. Neither wait takes anything, and both descriptors are looked at again afterwards: so nothing is
/// missed, and no byte is ever between the two.
namespace coir {
namespace detail {
namespace {

class splicing {
public:
    static constexpr direction way = direction::read;
    static constexpr bool takes = true;

    splicing(const transfer_end& in, const transfer_end& out, std::size_t count) noexcept
        : in_(in), out_(out), rest_(count) {}

    [[nodiscard]] std::size_t moved() const noexcept { return moved_; }
    /// Left because `out` took nothing; why, or EAGAIN.
    [[nodiscard]] int refusal() const noexcept { return refusal_; }
    void resume() noexcept { refusal_ = 0; }

    [[nodiscard]] bool is_empty() const noexcept { return rest_ == 0; }
    ssize_t attempt(descriptor_kind, int in) noexcept {
        if (!in_.is_still_open() || !out_.is_still_open()) {
            errno = EBADF;
            return -1;
        }
        const ssize_t moved = quiet_splice(in, out_, std::min(rest_, most_at_once));
        if (moved != -1 || errno == EINTR)
            return moved;
        const int error = errno;
        // Errors of a connection belong to the one that is no pipe. All others are nobody's, but must not be taken for the end
        // of `in` either.
        if (error == EAGAIN ? !is_ready(in, POLLIN) : out_.kind == descriptor_kind::pipe) {
            errno = error;
            return -1;
        }
        note_broken(out_, error);
        refusal_ = error == EPIPE && out_.slot->broken != 0 ? out_.slot->broken : error;
        return 1;
    }
    static bool is_short(ssize_t) noexcept { return false; }
    bool advance(ssize_t moved) noexcept {
        if (refusal_ != 0)
            return true;
        const auto size = static_cast<std::size_t>(moved);
        moved_ += size;
        rest_ -= size;
        return rest_ == 0;
    }

private:
    const transfer_end& in_;
    const transfer_end& out_;
    std::size_t rest_;
    std::size_t moved_ = 0;
    int refusal_ = 0;
};

// As one end of a splice, with the flag for the pipe.
bool can_block(const transfer_end& end) noexcept {
    return end.kind != descriptor_kind::pipe && !end.never_blocks;
}

} // namespace

outcome splice(loop& here, int in, int out, std::size_t count, deadline until) noexcept {
    if (here.refuses())
        return {0, was_cancelled};
    const transfer_end source = transfer_end::of(here, in);
    const transfer_end sink = transfer_end::of(here, out);
    if (source.error != 0 || sink.error != 0)
        return {0, source.error != 0 ? source.error : sink.error};
    if (can_block(source) || can_block(sink))
        return {0, EINVAL};
    splicing work{source, sink, count};
    for (;;) {
        const int error = perform(here, in, work, until).error;
        if (error != 0 || work.refusal() == 0)
            return {work.moved(), error};
        if (work.refusal() != EAGAIN)
            return {work.moved(), work.refusal()};
        work.resume();
        if (const int failure = wait_until_ready(here, sink, direction::write, until); failure != 0)
            return {work.moved(), failure};
    }
}

} // namespace detail

namespace io {

std::size_t splice(int in, int out, std::size_t count, deadline until) {
    return detail::in_loop("io::splice", in, out,
                           [&](detail::loop& here) { return detail::splice(here, in, out, count, until); });
}

std::size_t splice(int in, int out, std::size_t count, std::error_code& error, deadline until) noexcept {
    return detail::in_loop(error, [&](detail::loop& here) { return detail::splice(here, in, out, count, until); });
}

} // namespace io
} // namespace coir
