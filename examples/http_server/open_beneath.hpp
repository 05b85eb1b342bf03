#pragma once

#include <string>
#include <utility>

#include <unistd.h>

namespace http_server {

/// Owner of the descriptor of a file or directory. Not coir::io::descriptor: regular files never have to be waited
/// for.
class file_handle {
public:
    file_handle() noexcept = default;
    explicit file_handle(int number) noexcept : number_(number) {}
    file_handle(file_handle&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
    file_handle& operator=(file_handle&& other) noexcept {
        std::swap(number_, other.number_);
        return *this;
    }
    ~file_handle() {
        if (number_ >= 0)
            ::close(number_);
    }

    [[nodiscard]] int get() const noexcept { return number_; }
    [[nodiscard]] int release() noexcept { return std::exchange(number_, -1); }
    [[nodiscard]] explicit operator bool() const noexcept { return number_ >= 0; }

private:
    int number_ = -1;
};

/// Opens `path` (relative, "" for the root itself) for reading, and makes sure that what is opened lies below the
/// directory `root`: neither ".." nor a symbolic link leads out, also when somebody moves directories meanwhile.
/// None, and errno, on failure; EXDEV or ELOOP when the path would have led out. A FIFO or a device does not block
/// the call.
///
/// The kernel checks while it resolves the path (openat2, Linux 5.6). Where it cannot: open_without_links(). May wait for the
/// disk.
[[nodiscard]] file_handle open_beneath(int root, const std::string& path) noexcept;

/// As open_beneath(), and does not wait for the disk to find the file; EAGAIN when what it would have to look at is not in
/// memory, or the kernel cannot tell (before Linux 5.12). What opening the file found may wait for is its file system's affair:
/// nothing, on a local one.
[[nodiscard]] file_handle open_beneath_in_memory(int root, const std::string& path) noexcept;

/// The portable fallback: goes down one name at a time and follows no symbolic link at all, not even a harmless
/// one.
[[nodiscard]] file_handle open_without_links(int root, const std::string& path) noexcept;

} // namespace http_server
