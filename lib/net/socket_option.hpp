#pragma once

#include "io/errors.hpp"
#include "io/place.hpp"

#include <cerrno>
#include <cstddef>
#include <string>
#include <sys/socket.h>
#include <system_error>

namespace coir::detail {

/// setsockopt(). Returns 0 or an errno.
template <class Value> int set_option(int socket, int level, int name, const Value& value) noexcept {
    return ::setsockopt(socket, level, name, &value, sizeof value) == 0 ? 0 : errno;
}

/// The same for a text. The kernel would take the beginning of one that is longer than `longest`: that is `unknown` instead.
inline int set_text_option(int socket, int level, int name, const std::string& text, std::size_t longest,
                           int unknown) noexcept {
    if (text.size() > longest)
        return unknown;
    return ::setsockopt(socket, level, name, text.data(), static_cast<socklen_t>(text.size())) == 0 ? 0 : errno;
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
