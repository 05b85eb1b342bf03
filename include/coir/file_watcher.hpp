#pragma once

#include <coir/deadline.hpp>
#include <coir/export.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <system_error>

namespace coir {

namespace detail {
class watched_files;
}

namespace io {

/// What happens to a watched file, or to an entry of a watched directory; a set of these.
enum class file_change : std::uint32_t {
    none = 0,
    accessed = 0x1,             ///< read, executed
    modified = 0x2,             ///< written, truncated
    attributes = 0x4,           ///< mode, owner, times, number of links
    closed_after_writing = 0x8, ///< by somebody who had it open for writing
    closed_unwritten = 0x10,
    opened = 0x20,
    moved_from = 0x40, ///< an entry was renamed: this is its old name
    moved_to = 0x80,   ///< and this its new one; both have the same `pair`
    created = 0x100,   ///< an entry
    removed = 0x200,   ///< an entry
    self_removed = 0x400,
    self_moved = 0x800,
    // Reported without being requested.
    unmounted = 0x2000,         ///< its file system
    lost = 0x4000,              ///< more happened than the queue holds: what it was is not known. Belongs to no watch.
    unwatched = 0x8000,         ///< the last of this watch: after remove(), or because the file is gone
    is_directory = 0x4000'0000, ///< comes with others: it happened to a directory

    moved = moved_from | moved_to,
    /// The contents of a directory, and writes to its files.
    content = closed_after_writing | moved | created | removed,
    all = 0xfff,
};

[[nodiscard]] constexpr file_change operator|(file_change left, file_change right) noexcept {
    return static_cast<file_change>(static_cast<std::uint32_t>(left) | static_cast<std::uint32_t>(right));
}
[[nodiscard]] constexpr file_change operator&(file_change left, file_change right) noexcept {
    return static_cast<file_change>(static_cast<std::uint32_t>(left) & static_cast<std::uint32_t>(right));
}
/// The two sets intersect.
[[nodiscard]] constexpr bool contains(file_change set, file_change some) noexcept {
    return (set & some) != file_change::none;
}

/// Identifies a watched file or directory within its file_watcher. Not used again.
enum class file_watch : int { none = -1 };

/// Something that has happened.
struct file_event {
    file_watch watch = file_watch::none; ///< what add() has returned; none for file_change::lost
    file_change what = file_change::none;
    std::uint32_t pair = 0; ///< not 0: the other half of a rename has the same
    std::string name = {};  ///< of the entry; empty if it happened to what is watched itself
};

/// Reports changes of files and in directories (inotify).
///
///     coir::io::file_watcher watcher;
///     watcher.add("/etc/service.d", coir::io::file_change::content);
///     for (;;) {
///         const coir::io::file_event event = watcher.next();
///         if (contains(event.what, coir::io::file_change::lost)) read_all_again();
///         else read_again(event.name);
///     }
///
/// A directory is watched with its entries, but not what is below them. Changes that other machines make in a network file
/// system are not seen, nor are writes through a memory mapping.
///
/// Nothing is dropped silently: when the kernel's queue is full (fs.inotify.max_queued_events, 16,384 by default) an event
/// file_change::lost takes the place of what is lost, and everything has to be examined anew. Identical consecutive events are
/// merged into one.
///
/// Threads: belongs to the loop of the thread that made it. Several fibers may call next(): each event goes to one.
class COIR_EXPORT file_watcher {
public:
    /// Watches nothing yet. Never suspends. Throws std::system_error (std::errc::too_many_files_open also for the user's
    /// limit, fs.inotify.max_user_instances), std::logic_error outside coir::run.
    file_watcher();
    explicit file_watcher(std::error_code& error) noexcept;

    file_watcher(file_watcher&& other) noexcept;
    file_watcher& operator=(file_watcher&& other) noexcept;
    /// Whoever waits in next() gets std::errc::bad_file_descriptor.
    ~file_watcher();

    /// From now on reports `changes` of the file or directory `path` (of its target, if it is a symbolic link). The file is
    /// watched, not the name: it remains watched when renamed, and a new file of that name is not. To see that a file is
    /// replaced, watch its directory.
    ///
    /// Never suspends; the path is looked up on this thread. Throws std::system_error that names the path:
    /// std::errc::no_such_file_or_directory, permission_denied; file_exists: it is watched already, perhaps under another name;
    /// no_space_on_device: the user's limit of watches (fs.inotify.max_user_watches); invalid_argument: `changes` is empty.
    file_watch add(const std::string& path, file_change changes);
    file_watch add(const std::string& path, file_change changes, std::error_code& error) noexcept;

    /// Ends a watch. Earlier events are still reported, and then file_change::unwatched. Never suspends. Throws
    /// std::system_error with std::errc::invalid_argument if the watch has ended already.
    void remove(file_watch watch);
    void remove(file_watch watch, std::error_code& error) noexcept;

    /// Waits for the next event. May suspend. Throws std::system_error with std::errc::timed_out, and coir::cancelled; no
    /// event is lost by that. Completion wins. std::logic_error outside coir::run.
    file_event next(deadline until = {});
    file_event next(std::error_code& error, deadline until = {}) noexcept;

private:
    std::unique_ptr<detail::watched_files> files_;
};

} // namespace io
} // namespace coir
