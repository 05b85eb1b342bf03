#include "base/diagnostic.hpp"

#include <sys/uio.h>
#include <unistd.h>

namespace coir::detail {
namespace {

iovec piece(std::string_view text) noexcept {
    return {const_cast<char*>(text.data()), text.size()};
}

} // namespace

void report(std::string_view message) noexcept {
    // One system call, so that lines of several threads do not mix.
    const iovec line[] = {piece("coir: "), piece(message), piece("\n")};
    [[maybe_unused]] const auto ignored = ::writev(STDERR_FILENO, line, 3);
}

} // namespace coir::detail
