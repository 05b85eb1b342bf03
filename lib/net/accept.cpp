#include "net/accept.hpp"

#include "io/errors.hpp"
#include "io/operation.hpp"
#include "io/ownership.hpp"
#include "net/socket.hpp"
#include "sched/loop.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <sys/socket.h>

namespace coir::detail {
namespace {

// Once per failed accept: a loop of them costs ten wake-ups a second.
constexpr std::chrono::milliseconds longest_pause{100};

// The connection died while it was queued, or the network hands on an older error of its own: see accept(2).
bool is_transient(int error) noexcept {
    switch (error) {
    case EINTR:
    case ECONNABORTED:
    case EPROTO:
    case ENOPROTOOPT:
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENONET:
        return true;
    default:
        return false;
    }
}

bool is_lack_of_resources(int error) noexcept {
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

class accepting final : public operation {
public:
    accepting() noexcept : operation(direction::read) {}

    bool attempt(int number) noexcept override {
        do
            accepted = ::accept4(number, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        while (accepted == -1 && is_transient(errno));
        return accepted != -1;
    }

    int accepted = -1;
};

// Errno or was_cancelled; 0 and the connection.
int accept_one(loop& here, int listener, int type, deadline until, io::descriptor& accepted) noexcept {
    accepting work;
    int error = perform(here, listener, work, until).error;
    if (error == 0)
        accepted = adopt_socket(work.accepted, type, error);
    return error;
}

} // namespace

int accept(loop& here, int listener, int type, deadline until, io::descriptor& accepted) noexcept {
    const std::uint32_t generation = ownership::generation(listener);
    const int error = accept_one(here, listener, type, until, accepted);
    if (!is_lack_of_resources(error))
        return error;
    // The connection stays queued, so accept() would fail again at once: whoever calls it in a loop would spin (hazard
    // F4). Nothing tells when a descriptor becomes free.
    wait_record pause{wait_kind::sleep, nullptr};
    if (here.wait(pause, std::min(until, deadline{longest_pause})) == wake_reason::cancelled)
        return was_cancelled;
    if (ownership::generation(listener) != generation)
        return EBADF;
    const int again = accept_one(here, listener, type, deadline::passed(), accepted);
    return again == ETIMEDOUT ? error : again;
}

} // namespace coir::detail
