#pragma once

#include "sched/loop.hpp"

#include <coir/deadline.hpp>

#include <cstddef>
#include <cstdint>
#include <sys/stat.h>
#include <sys/uio.h>

namespace coir::detail {

/// Up to so many bytes the loop's own thread copies between a buffer and the page cache: some 20 us. More is left to others even
/// if it needs no disk.
inline constexpr std::size_t most_copied_by_loop = std::size_t{256} * 1024;

/// One system call on a file, as data, so that somebody else can make it: a file_ring, or a thread. It and all it points to stay
/// where they are until then.
struct file_operation {
    enum class call : std::uint8_t {
        open,             ///< path, flags, mode; result: the descriptor
        close,            ///< number
        read,             ///< number, pieces, piece_count, bytes, offset; result: bytes
        write,            ///< as read
        sync,             ///< number
        sync_data,        ///< number
        status,           ///< number with an empty path, or path; flags: of statx; status
        allocate,         ///< number, offset, length
        truncate,         ///< number, length
        rename,           ///< path, second_path
        remove,           ///< path, flags: of unlinkat
        create_directory, ///< path, mode
    };

    call what;
    int number = -1;
    int flags = 0;
    mode_t mode = 0;
    const char* path = "";
    const char* second_path = "";
    const iovec* pieces = nullptr;
    int piece_count = 0;
    std::size_t bytes = 0; ///< in all pieces
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
    struct statx* status = nullptr;

    std::int64_t result = 0; ///< what the system call has returned, or minus an errno
};

/// Makes the system call on the calling thread, which it may block.
void make_system_call(file_operation& operation) noexcept;

/// Has `operation` carried out by others while the calling fiber waits. Returns 0, an errno, or was_cancelled. ETIMEDOUT when
/// `until` has passed, and was_cancelled: it has not been carried out, or the system was persuaded to give it up. May suspend.
int perform(loop& here, file_operation& operation, deadline until) noexcept;

} // namespace coir::detail
