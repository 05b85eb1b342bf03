#include <coir/pipe.hpp>

#include "io/errors.hpp"
#include "io/ownership.hpp"
#include "sched/loop.hpp"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

namespace coir::io {
namespace {

pipe_ends make(int& error) noexcept {
    std::array<int, 2> made{};
    if (::pipe2(made.data(), O_CLOEXEC | O_NONBLOCK) == -1) {
        error = errno;
        return {};
    }
    pipe_ends ends;
    ends.read = detail::ownership::adopt_fresh_pipe_end(made[0], error);
    if (error != 0) {
        ::close(made[1]);
        return {};
    }
    ends.write = detail::ownership::adopt_fresh_pipe_end(made[1], error);
    if (error != 0)
        return {};
    return ends;
}

} // namespace

pipe_ends pipe() {
    static_cast<void>(detail::loop::of_running_fiber("io::pipe"));
    int error = 0;
    pipe_ends ends = make(error);
    if (error != 0)
        throw std::system_error(detail::error_code_of(error), "io::pipe");
    return ends;
}

pipe_ends pipe(std::error_code& error) noexcept {
    int failure = EPERM;
    pipe_ends ends;
    if (detail::loop::current_with_running_fiber()) {
        failure = 0;
        ends = make(failure);
    }
    error = failure == 0 ? std::error_code{} : detail::error_code_of(failure);
    return ends;
}

} // namespace coir::io
