#include "sync/holder.hpp"

#include "base/diagnostic.hpp"
#include "base/process_end.hpp"
#include "sched/describe.hpp"

#include <cstdlib>
#include <stdexcept>
#include <system_error>

namespace coir::detail {

std::string describe_holder(holder who) {
    if ((who & is_thread) != 0)
        return "a thread without a loop";
    return describe(*reinterpret_cast<const fiber_base*>(who));
}

bool may_be_destroyed_while_held() noexcept {
    return loop::was_any_abandoned() || is_process_ending();
}

void throw_misuse(holder who, const char* what) {
    throw std::logic_error("coir: " + describe_holder(who) + ' ' + what);
}

void throw_deadlock(holder who, const char* what) {
    throw std::system_error(std::make_error_code(std::errc::resource_deadlock_would_occur),
                            "coir: " + describe_holder(who) + ' ' + what);
}

void abort_for_misuse(holder who, const char* what) noexcept {
    report([&] { return describe_holder(who) + ' ' + what; }, what);
    std::abort();
}

} // namespace coir::detail
