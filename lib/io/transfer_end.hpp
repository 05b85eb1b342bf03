#pragma once

#include "io/descriptor_slot.hpp"
#include "sched/loop.hpp"

#include <cstddef>
#include <cstdint>
#include <sys/types.h>

namespace coir::detail {

/// One of the two descriptors of a transfer that the kernel does by itself: sendfile(2) and splice(2) have no flag that
/// would keep all kinds of descriptors from blocking the thread, or from raising SIGPIPE.
struct transfer_end {
    int number = -1;
    descriptor_kind kind = descriptor_kind::borrowed; ///< never that, if there was no error
    bool never_blocks = false;                        ///< its mode says so, if nobody else has changed it
    int error = 0;                                    ///< errno: it is not open

    /// What the loop knows, of an owned descriptor; else, and for the mode of a received one, the system is asked.
    [[nodiscard]] static transfer_end of(loop& here, int number) noexcept;

    /// It has not been closed since. perform() looks after one descriptor only.
    [[nodiscard]] bool is_still_open() const noexcept { return slot->generation == generation; }

    descriptor_slot* slot = nullptr;
    std::uint32_t generation = 0;
};

/// Waits until `end` is ready; an errno, or was_cancelled, or 0. EBADF also if it has been closed before: since the fiber has looked,
/// its slice may have ended, and the number may be another file's.
[[nodiscard]] int wait_until_ready(loop& here, const transfer_end& end, direction way, deadline until) noexcept;

/// So much in one system call, what a pipe holds: a slice of them takes about half a millisecond, then others get their turn.
inline constexpr std::size_t most_at_once = std::size_t{64} * 1024;

/// sendfile(2) from `offset` of `file` on, and splice(2) that does not wait for a pipe; no SIGPIPE if `out` is a socket.
ssize_t quiet_sendfile(const transfer_end& out, int file, off_t offset, std::size_t count) noexcept;
ssize_t quiet_splice(int in, const transfer_end& out, std::size_t count) noexcept;

/// The connection at `end` has ended with `error`, which the kernel reports once only. To be called before the fiber can yield, since
/// then the number may become another connection's.
void note_broken(const transfer_end& end, int error) noexcept;

} // namespace coir::detail
