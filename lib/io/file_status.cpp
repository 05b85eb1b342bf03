#include "io/file_status.hpp"

#include <sys/sysmacros.h>

namespace coir::detail {
namespace {

io::file_status::time to_time(const statx_timestamp& stamp) noexcept {
    return io::file_status::time{std::chrono::seconds{stamp.tv_sec} + std::chrono::nanoseconds{stamp.tv_nsec}};
}

} // namespace

std::filesystem::file_type to_file_type(unsigned mode) noexcept {
    using std::filesystem::file_type;
    switch (mode & S_IFMT) {
    case S_IFREG:
        return file_type::regular;
    case S_IFDIR:
        return file_type::directory;
    case S_IFLNK:
        return file_type::symlink;
    case S_IFBLK:
        return file_type::block;
    case S_IFCHR:
        return file_type::character;
    case S_IFIFO:
        return file_type::fifo;
    case S_IFSOCK:
        return file_type::socket;
    default:
        return file_type::unknown;
    }
}

io::file_status to_file_status(const struct statx& found) noexcept {
    constexpr unsigned bytes_per_block = 512; // of stx_blocks, whatever the file system's own are
    io::file_status status;
    status.type = to_file_type(found.stx_mode);
    status.permissions = static_cast<std::filesystem::perms>(found.stx_mode) & std::filesystem::perms::mask;
    status.size = found.stx_size;
    status.allocated = found.stx_blocks * bytes_per_block;
    status.device = ::makedev(found.stx_dev_major, found.stx_dev_minor);
    status.inode = found.stx_ino;
    status.links = found.stx_nlink;
    status.owner = found.stx_uid;
    status.group = found.stx_gid;
    status.accessed = to_time(found.stx_atime);
    status.modified = to_time(found.stx_mtime);
    status.changed = to_time(found.stx_ctime);
    if (found.stx_mask & STATX_BTIME)
        status.born = to_time(found.stx_btime);
    return status;
}

} // namespace coir::detail
