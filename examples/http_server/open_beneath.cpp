#include "open_beneath.hpp"

#include <cerrno>
#include <cstdint>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string_view>
#include <sys/syscall.h>

namespace http_server {
namespace {

// O_NONBLOCK: opening a FIFO would otherwise wait for its writer, and the whole loop with it.
constexpr int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;

file_handle resolve(int root, const std::string& path, std::uint64_t how_else) noexcept {
    open_how how{};
    how.flags = flags;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | how_else;
    return file_handle{
        static_cast<int>(::syscall(SYS_openat2, root, path.empty() ? "." : path.c_str(), &how, sizeof how))};
}

} // namespace

file_handle open_beneath_in_memory(int root, const std::string& path) noexcept {
    file_handle opened = resolve(root, path, RESOLVE_CACHED);
    if (!opened && (errno == ENOSYS || errno == EPERM || errno == EINVAL || errno == EINTR))
        errno = EAGAIN;
    return opened;
}

file_handle open_beneath(int root, const std::string& path) noexcept {
    // EAGAIN: a rename or a mount happened anywhere in the system meanwhile, and the kernel could not be sure.
    for (int attempt = 0; attempt < 8; ++attempt) {
        if (file_handle opened = resolve(root, path, 0))
            return opened;
        // EPERM: sandboxes forbid system calls that they do not know. If it was about the file, opening it in the
        // other way says so again.
        if (errno == ENOSYS || errno == EPERM)
            return open_without_links(root, path);
        if (errno != EAGAIN && errno != EINTR)
            break;
    }
    return {};
}

file_handle open_without_links(int root, const std::string& path) noexcept {
    file_handle directory;
    int below = root;
    std::string_view rest = path.empty() ? std::string_view{"."} : std::string_view{path};
    for (;;) {
        const std::string_view name = rest.substr(0, rest.find('/'));
        const bool is_last = name.size() == rest.size();
        char terminated[256]; // NAME_MAX and the end
        if (name == ".." || name.size() >= sizeof terminated) {
            errno = name == ".." ? EXDEV : ENAMETOOLONG;
            return {};
        }
        terminated[name.copy(terminated, name.size())] = '\0';
        file_handle next{::openat(below, terminated, flags | O_NOFOLLOW | (is_last ? 0 : O_DIRECTORY))};
        if (!next || is_last)
            return next;
        directory = std::move(next);
        below = directory.get();
        rest.remove_prefix(name.size() + 1);
    }
}

} // namespace http_server
