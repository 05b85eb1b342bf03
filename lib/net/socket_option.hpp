#pragma once

#include "io/errors.hpp"
#include "io/place.hpp"

#include <cerrno>
#include <sys/socket.h>
#include <system_error>

namespace coir::detail {

/// setsockopt(). Returns 0 or an errno.
template <class Value> int set_option(int socket, int level, int name, const Value& value) noexcept {
    return ::setsockopt(socket, level, name, &value, sizeof value) == 0 ? 0 : errno;
}

/// Throws std::system_error naming `operation` and where `socket` leads to.
[[noreturn]] inline void throw_on_socket(std::error_code error, const char* operation, int socket) {
    throw std::system_error(error, operation + place_of(socket, error));
}

/// getsockopt(). Throws std::system_error as throw_on_socket().
template <class Value> Value option_of(int socket, int level, int name, const char* operation) {
    Value value{};
    socklen_t size = sizeof value;
    if (::getsockopt(socket, level, name, &value, &size) == -1)
        throw_on_socket(error_code_of(errno), operation, socket);
    return value;
}

} // namespace coir::detail
