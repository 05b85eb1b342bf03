#pragma once

#include "content.hpp"
#include "open_beneath.hpp"
#include "request_target.hpp"

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
    file_handle file = {}; // a file too large for memory: its body is sent from here
    std::uint64_t file_size = 0;
};

/// The files below the document root.
///
/// Files of at most 64 KiB are kept in memory, ready to send, 32 MiB altogether; the cache is emptied when it is
/// full, and the files in use are back after one request each. A kept file is looked at again (opened, its time
/// and size compared) at most once a second: a change is seen after a second at the latest. Larger files are
/// opened for each request.
///
/// Reading blocks the loop for as long as the disk takes; files in the page cache take microseconds.
class file_store {
public:
    /// Throws std::system_error that names `root`, if that is not a directory one may read.
    explicit file_store(const std::string& root);

    /// What to answer for `path`. `second` is the current time. May suspend: never. Throws std::bad_alloc.
    [[nodiscard]] stored find(const target_path& path, std::time_t second);

private:
    struct entry {
        document value;
        struct stat identity;
        std::time_t looked_at;
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
