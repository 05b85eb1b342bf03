#pragma once

#include <coir/endpoint.hpp>
#include <coir/unix_endpoint.hpp>

#include "io/errors.hpp"
#include "sched/loop.hpp"

#include <cerrno>
#include <string>
#include <system_error>

namespace coir::detail {

/// For people.
inline std::string text_of(const net::endpoint& where) {
    return where.unmapped().to_string();
}
inline std::string text_of(const net::unix_endpoint& where) {
    return where.to_string();
}

/// " on 127.0.0.1:80", for messages; nothing if the socket has no address (any more). `address` returns it.
template <class Address> std::string placed(const char* preposition, Address address) {
    try {
        return preposition + text_of(address());
    } catch (const std::system_error&) {
        return {};
    }
}

/// Ends the throwing form of a blocking call: by coir::cancelled, or a std::system_error with the text of `message()`. That may
/// use the object on which the call was made, unless its descriptor was closed meanwhile: then the object, too, may be gone.
template <class Message> [[noreturn]] void throw_ending(int error, const char* operation, Message message) {
    if (error == was_cancelled)
        throw_cancelled(loop::current()->running(), operation);
    throw std::system_error(error_code_of(error), error == EBADF ? operation : message());
}

/// The two forms of a blocking call whose core, `call(here)`, returns an errno, was_cancelled, or 0.
template <class Call, class Message>
[[gnu::always_inline]] inline void call_or_throw(const char* operation, Call call, Message message) {
    if (const int error = call(loop::of_running_fiber(operation))) [[unlikely]]
        throw_ending(error, operation, message);
}
template <class Call> [[gnu::always_inline]] inline void call_or_tell(std::error_code& error, Call call) noexcept {
    loop* here = loop::current_with_running_fiber();
    const int failure = here ? call(*here) : EPERM;
    error = failure == 0 ? std::error_code{} : error_code_of(failure);
}

} // namespace coir::detail
