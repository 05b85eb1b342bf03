#include "net/unix_socket.hpp"

#include "io/errors.hpp"
#include "net/retry.hpp"
#include "net/socket.hpp"
#include "net/socket_option.hpp"
#include "net/unix_endpoint_storage.hpp"
#include "sched/loop.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <new>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace coir::detail {

/// By name, and as what the name must still stand for when it is removed.
struct bound_file {
    std::array<char, sizeof(sockaddr_un::sun_path)> path;
    dev_t device;
    ino_t inode;
    pid_t process; ///< a child of fork() has the object, too, and must leave the file to its parent
};

bound_path::bound_path() noexcept = default;
bound_path::bound_path(std::unique_ptr<bound_file> file) noexcept : file_(std::move(file)) {}
bound_path::bound_path(bound_path&& other) noexcept = default;
bound_path& bound_path::operator=(bound_path&& other) noexcept {
    if (this != &other) {
        remove();
        file_ = std::move(other.file_);
    }
    return *this;
}
bound_path::~bound_path() {
    remove();
}

void bound_path::keep() noexcept {
    file_.reset();
}

void bound_path::remove() noexcept {
    if (!file_)
        return;
    const std::unique_ptr<bound_file> file = std::move(file_);
    struct stat found {};
    if (file->process == ::getpid() && ::lstat(file->path.data(), &found) == 0 && found.st_dev == file->device &&
        found.st_ino == file->inode)
        ::unlink(file->path.data());
}

namespace {

const sockaddr* address_of(const net::unix_endpoint& endpoint) noexcept {
    return static_cast<const sockaddr*>(endpoint.native());
}

socklen_t size_of(const net::unix_endpoint& endpoint) noexcept {
    return static_cast<socklen_t>(endpoint.native_size());
}

// A socket, and the one that it belonged to is gone.
bool is_stale(int type, const net::unix_endpoint& path) noexcept {
    struct stat found {};
    if (::lstat(static_cast<const sockaddr_un*>(path.native())->sun_path, &found) == -1 || !S_ISSOCK(found.st_mode))
        return false;
    const int probe = ::socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe == -1)
        return false;
    const bool refused = ::connect(probe, address_of(path), size_of(path)) == -1 && errno == ECONNREFUSED;
    ::close(probe);
    return refused;
}

int bind_path(int socket, int type, const net::unix_endpoint& local, const net::unix_bind_options& options,
              bound_path& path) noexcept {
    // Now, since a socket that has a path cannot be taken back without a trace.
    std::unique_ptr<bound_file> file{new (std::nothrow) bound_file{}};
    if (!file)
        return ENOMEM;
    // Linux gives the file the mode of the socket: it has never any other.
    if (::fchmod(socket, options.mode & 0777U) == -1)
        return errno;
    int bound = ::bind(socket, address_of(local), size_of(local));
    if (bound == -1 && errno == EADDRINUSE) {
        const auto* name = static_cast<const sockaddr_un*>(local.native())->sun_path;
        if (options.replace_stale && is_stale(type, local) && ::unlink(name) == 0)
            bound = ::bind(socket, address_of(local), size_of(local));
        else
            errno = EADDRINUSE;
    }
    if (bound == -1)
        return errno;
    local.name().copy(file->path.data(), file->path.size() - 1);
    struct stat made {};
    if (::lstat(file->path.data(), &made) == 0) {
        file->device = made.st_dev;
        file->inode = made.st_ino;
        file->process = ::getpid();
        path = bound_path{std::move(file)};
    }
    return 0;
}

using get_name = int(int, sockaddr*, socklen_t*) noexcept;

net::unix_endpoint name_of(const io::descriptor& socket, get_name* get, const char* operation) {
    net::unix_endpoint name;
    socklen_t size = unix_endpoint_storage::capacity;
    if (get(socket.get(), static_cast<sockaddr*>(unix_endpoint_storage::address(name)), &size) == -1)
        throw_on_socket(error_code_of(errno), operation, socket.get());
    unix_endpoint_storage::set_size(name, size);
    return name;
}

} // namespace

int connect_unix(loop& here, int type, const net::unix_endpoint& remote, deadline until,
                 io::descriptor& socket) noexcept {
    if (here.refuses())
        return was_cancelled;
    int error = 0;
    io::descriptor made = make_socket(AF_UNIX, type, 0, error);
    if (error != 0)
        return error;
    retry again{here, made.get()};
    while (::connect(made.get(), address_of(remote), size_of(remote)) == -1) {
        if (errno == EINTR)
            continue;
        if (errno != EAGAIN)
            return errno;
        // The backlog is full, and no event would tell that it is not any more (hazard F5).
        if ((error = again.pause(until)) != 0)
            return error;
    }
    here.spend(switches_per_system_call);
    socket = std::move(made);
    return 0;
}

int bind_unix(int type, const net::unix_endpoint& local, const net::unix_bind_options& options, io::descriptor& socket,
              bound_path& path) noexcept {
    int error = 0;
    io::descriptor made = make_socket(AF_UNIX, type, 0, error);
    if (error == 0 && options.credentials)
        error = set_option(made.get(), SOL_SOCKET, SO_PASSCRED, 1);
    if (error == 0 && local.is_path())
        error = bind_path(made.get(), type, local, options, path);
    else if (error == 0 && local.is_abstract() && ::bind(made.get(), address_of(local), size_of(local)) == -1)
        error = errno;
    if (error == 0)
        socket = std::move(made);
    return error;
}

int listen_unix(int type, const net::unix_endpoint& local, const net::unix_bind_options& options, int backlog,
                io::descriptor& socket, bound_path& path) noexcept {
    io::descriptor made;
    bound_path made_path;
    if (const int error = bind_unix(type, local, options, made, made_path))
        return error;
    if (::listen(made.get(), backlog) == -1)
        return errno;
    socket = std::move(made);
    path = std::move(made_path);
    return 0;
}

int pair_unix(int type, std::pair<io::descriptor, io::descriptor>& sockets) noexcept {
    std::array<int, 2> numbers{};
    if (::socketpair(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, numbers.data()) == -1)
        return errno;
    int error = 0;
    sockets.first = adopt_socket(numbers[0], type, error);
    if (error != 0) {
        ::close(numbers[1]);
        return error;
    }
    sockets.second = adopt_socket(numbers[1], type, error);
    if (error != 0)
        sockets.first = {};
    return error;
}

net::unix_endpoint local_unix_endpoint(const io::descriptor& socket) {
    return name_of(socket, ::getsockname, "net: local endpoint");
}

net::unix_endpoint remote_unix_endpoint(const io::descriptor& socket) {
    return name_of(socket, ::getpeername, "net: remote endpoint");
}

net::peer_credentials credentials_of(const io::descriptor& socket) {
    const auto found = option_of<ucred>(socket.get(), SOL_SOCKET, SO_PEERCRED, "net: peer credentials");
    return {found.pid, found.uid, found.gid};
}

} // namespace coir::detail
