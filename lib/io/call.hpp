#pragma once

#include "io/errors.hpp"
#include "io/perform.hpp"

#include <cerrno>
#include <cstddef>
#include <system_error>

/// \file
/// The two forms of every blocking call on a descriptor: the one that throws, and the one with an error code.
namespace coir::detail {

/// Throws what the failed `operation` must: coir::cancelled, or io::transfer_error when something else went wrong, whose message
/// names the operation and where it went: see place.hpp.
[[noreturn]] void raise(const outcome& failed, const char* operation, int descriptor);
[[noreturn]] void raise(const outcome& failed, const char* operation, int from, int to);

/// The first half of raise(), for what a stream has reported: throws coir::cancelled if it must.
void throw_if_cancelled(std::error_code failed, const char* operation, std::size_t bytes);
/// The same for what the stream `handle` has reported.
[[noreturn]] void raise(std::error_code failed, const char* operation, int handle, std::size_t bytes);

template <class Work>
[[gnu::always_inline]] inline std::size_t transfer(const char* operation, int number, Work work, deadline until) {
    const outcome done = perform(loop::of_running_fiber(operation), number, work, until);
    if (done.error != 0) [[unlikely]]
        raise(done, operation, number);
    return done.bytes;
}

template <class Work>
[[gnu::always_inline]] inline std::size_t transfer(std::error_code& error, int number, Work work,
                                                   deadline until) noexcept {
    loop* here = loop::current();
    if (!here) [[unlikely]] {
        error = error_code_of(EPERM);
        return 0;
    }
    const outcome done = perform(*here, number, work, until);
    error = done.error == 0 ? std::error_code{} : error_code_of(done.error);
    return done.bytes;
}

/// The same for what is not one perform(), and moves bytes from one descriptor to another: `call(loop&)` returns an outcome.
template <class Call> std::size_t in_loop(const char* operation, int from, int to, Call call) {
    const outcome done = call(loop::of_running_fiber(operation));
    if (done.error != 0)
        raise(done, operation, from, to);
    return done.bytes;
}

template <class Call> std::size_t in_loop(std::error_code& error, Call call) noexcept {
    loop* here = loop::current();
    const outcome done = here ? call(*here) : outcome{0, EPERM};
    error = done.error == 0 ? std::error_code{} : error_code_of(done.error);
    return done.bytes;
}

} // namespace coir::detail
