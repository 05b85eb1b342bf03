#include <coir/channel.hpp>

#include "sched/cancellation.hpp"
#include "sched/loop.hpp"

#include <string>
#include <system_error>

namespace coir::detail {

std::error_code channel_error(wake_reason why) noexcept {
    switch (why) {
    case wake_reason::closed:
        return std::make_error_code(std::errc::broken_pipe);
    case wake_reason::timed_out:
        return std::make_error_code(std::errc::timed_out);
    case wake_reason::cancelled:
        return std::make_error_code(std::errc::operation_canceled);
    case wake_reason::none:
    case wake_reason::notified:
        break;
    }
    return {};
}

void throw_channel_error(wake_reason why, const char* operation) {
    if (why == wake_reason::cancelled)
        throw_cancelled(loop::current()->running(), operation);
    throw std::system_error(channel_error(why), std::string{"coir: "} + operation +
                                                    (why == wake_reason::closed ? ": the channel is closed" : ""));
}

} // namespace coir::detail
