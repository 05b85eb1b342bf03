#include <coir/descriptor.hpp>

#include "io/errors.hpp"
#include "io/ev_driver.hpp"
#include "io/find_kind.hpp"
#include "io/ownership.hpp"
#include "io/place.hpp"

#include <cerrno>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace coir {
namespace detail {

int find_kind(int number, descriptor_kind& kind) noexcept {
    struct stat file {};
    if (::fstat(number, &file) == -1)
        return errno;
    switch (file.st_mode & S_IFMT) {
    case S_IFREG:
    case S_IFDIR:
    case S_IFBLK:
        kind = descriptor_kind::file;
        return 0;
    case S_IFIFO:
        kind = descriptor_kind::pipe;
        return 0;
    case S_IFSOCK: {
        int type = 0;
        socklen_t size = sizeof type;
        if (::getsockopt(number, SOL_SOCKET, SO_TYPE, &type, &size) == -1)
            return errno;
        kind = type == SOCK_STREAM ? descriptor_kind::stream_socket : descriptor_kind::message_socket;
        return 0;
    }
    default:
        kind = descriptor_kind::other;
        return 0;
    }
}

namespace {

bool is_listening(int number) noexcept {
    int listens = 0;
    socklen_t size = sizeof listens;
    return ::getsockopt(number, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && listens != 0;
}

// Transfers of sockets ask not to block each by itself; of a pipe or terminal they do so if it counts as borrowed. Only for
// accept4() there is no such way.
bool can_stay_in_blocking_mode(int number, descriptor_kind& kind) noexcept {
    if (kind == descriptor_kind::pipe || kind == descriptor_kind::other)
        kind = descriptor_kind::borrowed;
    return !is_listening(number);
}

// The mode is that of the open file, and not ours to change if others have it as well (hazard H4).
int adopt(loop& here, int number, descriptor_table::origin from, bool is_shared) noexcept {
    descriptor_kind kind{};
    if (const int error = find_kind(number, kind))
        return error;
    const int mode = ::fcntl(number, F_GETFL);
    if (mode == -1)
        return errno;
    if (!(mode & (O_NONBLOCK | O_PATH)) && !(is_shared && can_stay_in_blocking_mode(number, kind)) &&
        ::fcntl(number, F_SETFL, mode | O_NONBLOCK) == -1)
        return errno;
    const int error = descriptors_of(here).adopt(number, kind, from);
    if (error == 0)
        descriptors_of(here).find(number)->is_shared = is_shared;
    return error;
}

// The slot on this thread's loop, or null.
descriptor_slot* known(int number) noexcept {
    loop* here = loop::current();
    return here ? descriptors_of(*here).find(number) : nullptr;
}

int adopt_fresh(int number, descriptor_kind kind) noexcept {
    return descriptors_of(*loop::current()).adopt(number, kind, descriptor_table::origin::fresh);
}

} // namespace

void withdraw_descriptor(int number) noexcept {
    if (descriptor_slot* slot = known(number))
        descriptors_of(*loop::current()).withdraw(*slot);
}

io::descriptor ownership::owner_of(int number, int error) noexcept {
    io::descriptor owner;
    if (error == 0)
        owner.number_ = number;
    else
        ::close(number);
    return owner;
}

io::descriptor ownership::adopt_fresh_socket(int number, int& error) noexcept {
    error = detail::adopt_fresh(number, descriptor_kind::stream_socket);
    return owner_of(number, error);
}

io::descriptor ownership::adopt_fresh_message_socket(int number, int& error) noexcept {
    error = detail::adopt_fresh(number, descriptor_kind::message_socket);
    return owner_of(number, error);
}

io::descriptor ownership::adopt_received(int number, int& error) noexcept {
    error = adopt(*loop::current(), number, descriptor_table::origin::fresh, true);
    return owner_of(number, error);
}

io::descriptor ownership::adopt_fresh_pipe_end(int number, int& error) noexcept {
    error = detail::adopt_fresh(number, descriptor_kind::pipe);
    return owner_of(number, error);
}

std::uint32_t ownership::generation(int number) noexcept {
    const descriptor_slot* slot = known(number);
    return slot ? slot->generation : 0;
}

int close_descriptor(int number) noexcept {
    withdraw_descriptor(number);
    // Linux has closed it even if it says EINTR; another attempt could hit somebody else's new file.
    return ::close(number) == 0 || errno == EINTR ? 0 : errno;
}

} // namespace detail

namespace io {

descriptor::descriptor(int number) {
    detail::loop& here = detail::loop::of_running_fiber("io::descriptor");
    if (const int error = detail::adopt(here, number, detail::descriptor_table::origin::unknown, false))
        throw std::system_error(detail::error_code_of(error),
                                "io::descriptor" + detail::place_of(number, detail::error_code_of(error)));
    number_ = number;
}

descriptor::~descriptor() {
    std::error_code ignored;
    close(ignored);
}

int descriptor::release() noexcept {
    if (number_ >= 0)
        detail::withdraw_descriptor(number_);
    return std::exchange(number_, -1);
}

void descriptor::close() {
    const int number = number_;
    std::error_code error;
    close(error);
    if (error)
        throw std::system_error(error, "io::descriptor::close of " + detail::number_of(number));
}

void descriptor::close(std::error_code& error) noexcept {
    error.clear();
    if (number_ >= 0)
        error = detail::error_code_of(detail::close_descriptor(std::exchange(number_, -1)));
}

} // namespace io
} // namespace coir
