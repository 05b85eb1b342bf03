#pragma once

#include <cerrno>
#include <sys/socket.h>
#include <system_error>

namespace coir::detail {

/// setsockopt(). Returns 0 or an errno.
template <class Value> int set_option(int socket, int level, int name, const Value& value) noexcept {
    return ::setsockopt(socket, level, name, &value, sizeof value) == 0 ? 0 : errno;
}

/// getsockopt(). Throws std::system_error naming `operation`.
template <class Value> Value option_of(int socket, int level, int name, const char* operation) {
    Value value{};
    socklen_t size = sizeof value;
    if (::getsockopt(socket, level, name, &value, &size) == -1)
        throw std::system_error(errno, std::generic_category(), operation);
    return value;
}

} // namespace coir::detail
