#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace coir::detail {

/// Finds out how many of the things that a pool holds ready have not been needed for a while, and so may go. What comes and
/// goes all the time is left alone, however many: to give memory back and to ask for it again costs more than to keep it.
class surplus {
public:
    static constexpr std::int64_t at_once = std::numeric_limits<std::int64_t>::min();
    static constexpr std::int64_t never = std::numeric_limits<std::int64_t>::max();

    /// How long, in nanoseconds, a thing is kept in any case: long for a thread that has work, short for an operator who looks
    /// at the memory of a process that has none.
    static constexpr std::int64_t period = 100'000'000;

    /// One has been taken; so many are left.
    void taken(std::size_t left) noexcept { fewest_ = std::min(fewest_, left); }

    /// Of the `present` things those beyond `keep` may go that have not been needed for a period, at most `batch` of them:
    /// calls give_back(how many). `now` is a steady clock.
    /// Returns when to ask again: at_once if a batch was not enough, never if there is nothing to wait for.
    template <class GiveBack>
    std::int64_t trim(std::int64_t now, std::size_t present, std::size_t keep, std::size_t batch, GiveBack give_back) {
        if (present <= keep)
            return watched_until_ = never;
        if (watched_until_ != never && now >= watched_until_) {
            const std::size_t unneeded = fewest_ > keep ? fewest_ - keep : 0; // so many were there all the time
            const std::size_t going = std::min(unneeded, batch);
            give_back(going);
            present -= going;
            fewest_ = keep + unneeded - going;
            if (going < unneeded)
                return at_once;
            watched_until_ = never;
            if (present <= keep)
                return never;
        }
        if (watched_until_ == never) {
            fewest_ = present;
            watched_until_ = now + period;
        }
        return watched_until_;
    }

private:
    std::size_t fewest_ = 0; // of those that were left since the present period began
    std::int64_t watched_until_ = never;
};

} // namespace coir::detail
