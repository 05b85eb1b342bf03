#pragma once

#include <atomic>
#include <filesystem>
#include <unistd.h>

namespace coir::detail {

/// What an io::file owns. Calls that are in progress own it as well, so the number stays what it is until the last has ended.
struct open_file {
    open_file() = default;
    open_file(const open_file&) = delete;
    open_file& operator=(const open_file&) = delete;
    ~open_file() {
        if (number != -1)
            ::close(number);
    }

    int number = -1;
    std::filesystem::path path; ///< for messages
    bool appends = false;
    bool has_offsets = true;               ///< else it is a FIFO, a terminal, …
    std::atomic<bool> reads_at_once{true}; ///< the system can tell whether a read would wait; by any caller
};

} // namespace coir::detail
