#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>

namespace coir::io {

/// What the file system knows of a file: see io::file::status() and io::status().
struct file_status {
    /// A point in time with the resolution of file systems.
    using time = std::chrono::time_point<std::chrono::system_clock, std::chrono::nanoseconds>;

    std::filesystem::file_type type = std::filesystem::file_type::none;
    std::filesystem::perms permissions = std::filesystem::perms::unknown;
    std::uint64_t size = 0;      ///< bytes that can be read; for a directory, whatever the file system says
    std::uint64_t allocated = 0; ///< bytes that it occupies on the device: less than `size` for a sparse file
    std::uint64_t device = 0;    ///< with `inode`: two files are the same if both are equal
    std::uint64_t inode = 0;
    std::uint32_t links = 0; ///< names that it has
    std::uint32_t owner = 0; ///< a user's number
    std::uint32_t group = 0;
    time accessed;
    time modified;            ///< its contents
    time changed;             ///< its contents, or its status
    std::optional<time> born; ///< where the file system knows
};

} // namespace coir::io
