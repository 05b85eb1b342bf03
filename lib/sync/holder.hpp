#pragma once

#include "sched/holder_word.hpp"
#include "sched/loop.hpp"
#include "sched/thread_parker.hpp"

#include <coir/detail/wait_record.hpp>

#include <string>

namespace coir::detail {

/// The running fiber, or else the calling thread.
[[nodiscard]] inline holder current_holder() noexcept {
    if (loop* here = loop::current_with_running_fiber()) [[likely]]
        return reinterpret_cast<holder>(&here->running());
    return reinterpret_cast<holder>(&thread_parker::current()) | is_thread;
}

/// Who waits with `record`.
[[nodiscard]] inline holder holder_of(const wait_record& record) noexcept {
    const auto& whole = static_cast<const shared_wait&>(record);
    return whole.thread ? reinterpret_cast<holder>(whole.thread) | is_thread : reinterpret_cast<holder>(whole.owner);
}

/// `fiber 42 "name"` or `a thread`, for messages. The fiber must exist.
[[nodiscard]] std::string describe_holder(holder who);

/// A lock that is held may be destroyed: fibers that were given up hold it for ever, and at the end of the process static ones are
/// destroyed whoever holds them.
[[nodiscard]] bool may_be_destroyed_while_held() noexcept;

/// Misuse: who did what. std::logic_error; std::system_error with std::errc::resource_deadlock_would_occur; or, where nothing
/// can be thrown, the end of the program.
[[noreturn]] void throw_misuse(holder who, const char* what);
[[noreturn]] void throw_deadlock(holder who, const char* what);
[[noreturn]] void abort_for_misuse(holder who, const char* what) noexcept;

} // namespace coir::detail
