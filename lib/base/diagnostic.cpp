#include "base/diagnostic.hpp"

#include <cerrno>
#include <cstddef>
#include <sys/uio.h>
#include <unistd.h>

namespace coir::detail {
namespace {

iovec piece(std::string_view text) noexcept {
    return {const_cast<char*>(text.data()), text.size()};
}

} // namespace

void report(std::string_view message) noexcept {
    // One system call, so that lines of several threads do not mix; others only for what it has left over.
    iovec line[] = {piece("coir: "), piece(message), piece("\n")};
    iovec* rest = line;
    iovec* const end = line + 3;
    while (rest != end) {
        const ssize_t written = ::writev(STDERR_FILENO, rest, static_cast<int>(end - rest));
        if (written == -1 && errno == EINTR)
            continue;
        if (written <= 0)
            return; // there is nobody to tell
        auto taken = static_cast<std::size_t>(written);
        for (; rest != end && taken >= rest->iov_len; ++rest)
            taken -= rest->iov_len;
        if (rest != end)
            *rest = {static_cast<char*>(rest->iov_base) + taken, rest->iov_len - taken};
    }
}

} // namespace coir::detail
