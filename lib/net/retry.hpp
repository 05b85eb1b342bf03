#pragma once

#include "io/operation.hpp"
#include "io/ownership.hpp"
#include "sched/loop.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>

namespace coir::detail {

/// Pauses between attempts where the system has no event that says when the next one would succeed.
class retry {
public:
    retry(loop& here, int number) noexcept : here_(here), number_(number), generation_(ownership::generation(number)) {}

    /// Sleeps for a moment, every time a longer one. Returns 0; ETIMEDOUT if `until` has passed; was_cancelled; EBADF if the
    /// descriptor was closed meanwhile.
    [[nodiscard]] int pause(deadline until) noexcept {
        wait_record record{wait_kind::sleep, nullptr};
        const deadline next = pause_;
        pause_ = std::min(2 * pause_, longest);
        const wake_reason why = here_.wait(record, std::min(until, next));
        if (ownership::generation(number_) != generation_)
            return EBADF;
        if (why == wake_reason::cancelled)
            return was_cancelled;
        return until <= next ? ETIMEDOUT : 0;
    }

private:
    static constexpr std::chrono::microseconds longest{16'000};

    loop& here_;
    int number_;
    std::uint32_t generation_;
    std::chrono::microseconds pause_{500};
};

} // namespace coir::detail
