#pragma once

#include "base/pause.hpp"

#include <algorithm>
#include <cstdint>

namespace coir::detail {

/// Whether to look for what another thread is about to do, for as long as a sleep and a wake-up cost, before going to sleep.
/// At worst that doubles the cost of a sleep (the "ski rental" bound: Karlin, Li, Manasse, Owicki, "Empirical studies of
/// competitive spinning", SOSP 1991); so it is done only where it is likely to help: when the sleep before was ended by the other
/// thread, and each time that nothing comes in time it is left out twice as often. Who sleeps for IO never spins.
class adaptive_spin {
public:
    static constexpr int pauses = 1'000;                 ///< some 20 us: a wake-up by the system costs 5 to 100
    static constexpr std::int64_t longest_time = 50'000; ///< nanoseconds, where a pause takes longer
    static constexpr unsigned most_left_out = 64;

    /// Else wait_for() does nothing.
    [[nodiscard]] bool is_likely_to_help() const noexcept { return is_likely_; }

    /// Before a sleep. True: `has_come()` has become true, and there is no need to sleep.
    template <class Condition> [[nodiscard]] bool wait_for(Condition has_come) noexcept {
        if (!is_likely_)
            return false;
        if (to_leave_out_ > 0) {
            --to_leave_out_;
            return false;
        }
        for (int i = 0; i < pauses; ++i) {
            if (has_come()) {
                next_penalty_ = 1;
                return true;
            }
            pause();
        }
        to_leave_out_ = next_penalty_;
        next_penalty_ = std::min(2 * next_penalty_, most_left_out);
        return false;
    }

    /// After a sleep: whether what was waited for has ended it, or something else has.
    void slept(bool has_come) noexcept { is_likely_ = has_come; }

private:
    bool is_likely_ = false;
    unsigned to_leave_out_ = 0; // sleeps
    unsigned next_penalty_ = 1; // as many, after the next failure
};

} // namespace coir::detail
