#pragma once

#include <sys/stat.h>

namespace coir::detail {

/// Tells whether a file has changed.
class file_stamp {
public:
    /// Whether the file is another than at the last call, or than none at the first.
    bool has_changed(const char* path) noexcept {
        struct stat now {};
        if (::stat(path, &now) == -1)
            now = {}; // as good as an empty one
        const bool same = now.st_ino == last_.st_ino && now.st_dev == last_.st_dev && now.st_size == last_.st_size &&
                          now.st_mtim.tv_sec == last_.st_mtim.tv_sec && now.st_mtim.tv_nsec == last_.st_mtim.tv_nsec;
        last_ = now;
        return !same;
    }

private:
    struct stat last_ {};
};

} // namespace coir::detail
