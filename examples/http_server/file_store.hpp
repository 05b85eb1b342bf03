#pragma once

#include "content.hpp"
#include "open_beneath.hpp"
#include "request_target.hpp"

#include <coir/file.hpp>

#include <cstddef>
#include <cstdint>
#include <ctime>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>

#include <sys/stat.h>

namespace http_server {

/// What is known of a file without opening it again.
struct document {
    content_pointer text = {};      // what to send; for a large file without its body
    content_pointer unchanged = {}; // for 304; null where that is not on offer
    std::time_t changed = 0;        // for If-Modified-Since
};

/// What the store has for a path.
struct stored {
    http_status status = HTTP_STATUS_OK;
    document what = {};
    coir::io::file file = {}; // a file too large for memory: its body is sent from here
    std::uint64_t file_size = 0;
};

/// The files below the document root.
///
/// Files of at most 64 KiB are kept in memory, ready to send, 32 MiB altogether; the cache is emptied when it is
/// full, and the files in use are back after one request each. Larger files are opened for each request.
///
/// A kept file is good for the second in which it was looked at. After that, the next request opens it again, by its path:
/// it may be another file by now, or one that must not be read any more. If it is the same, with the same times and size,
/// what is in memory is its content. So a change is seen after a second at the latest. The exception are files that had
/// changed less than two seconds before they were read: the clock of a file system ticks every few milliseconds, and a
/// second change within the tick would leave no trace. Those are read again.
///
/// Neither reading a file nor looking it up blocks the loop: a name that the kernel does not have in memory is looked up on another
/// thread, and directories are listed there.
class file_store {
public:
    /// Throws std::system_error that names `root`, if that is not a directory one may read.
    explicit file_store(const std::string& root);

    /// The file at `path`, if it is kept and has been looked at in this `second`; null: ask find(). Good until that is
    /// called.
    [[nodiscard]] const document* find_fresh(const target_path& path, std::time_t second) const noexcept {
        const auto found = cache_.find(path.path);
        // "name/" is a directory or nothing, and directories are not kept.
        const bool is_fresh = found != cache_.end() && found->second.looked_at == second && !path.is_directory;
        return is_fresh ? &found->second.value : nullptr;
    }

    /// What to answer for `path`. `second` is the current time. May suspend. Throws std::bad_alloc, coir::cancelled.
    [[nodiscard]] stored find(const target_path& path, std::time_t second);

private:
    struct entry {
        document value;
        struct stat identity;
        std::time_t looked_at;
        bool was_young; // when it was read
    };
    struct hash : std::hash<std::string_view> {
        using is_transparent = void;
    };

    stored load(const target_path& path, std::time_t second);
    stored load_directory(const std::string& path, int directory, std::time_t second);
    stored load_file(const std::string& path, file_handle file, const struct stat& found, std::time_t second);
    void keep(const std::string& path, const document& value, const struct stat& identity, std::time_t second);

    file_handle root_;
    std::unordered_map<std::string, entry, hash, std::equal_to<>> cache_;
    std::size_t cached_bytes_ = 0;
};

} // namespace http_server
