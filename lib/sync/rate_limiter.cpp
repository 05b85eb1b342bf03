#include <coir/rate_limiter.hpp>

#include "sync/holder.hpp"

#include <algorithm>
#include <chrono>
#include <limits>
#include <stdexcept>

namespace coir {
namespace {

__extension__ using wide = unsigned __int128;

// What is left of a place at the head of the line, whatever ends the call.
class turn {
public:
    explicit turn(binary_semaphore& line) noexcept : line_(line) {}
    turn(const turn&) = delete;
    turn& operator=(const turn&) = delete;
    ~turn() { line_.release(); }

private:
    binary_semaphore& line_;
};

deadline::clock::time_point now() noexcept {
    return deadline{std::chrono::nanoseconds{0}}.time(); // of the loop, where there is one
}

} // namespace

rate_limiter::rate_limiter(std::size_t tokens, std::int64_t per, std::size_t burst, exactly /*nanoseconds*/)
    : rate_(tokens), per_(static_cast<std::uint64_t>(per)), burst_(burst), tokens_(burst), filled_at_(now()) {
    if (tokens == 0 || per <= 0 || burst == 0)
        throw std::invalid_argument("coir: a rate_limiter that will never have a token");
}

void rate_limiter::check(std::size_t tokens) const {
    if (tokens > burst_)
        detail::throw_misuse(detail::current_holder(), "asks a rate_limiter for more tokens than it ever has");
}

// As many units as there are at `time`; more than the burst only if that was waited for.
void rate_limiter::fill(deadline::clock::time_point time, bool waited) noexcept {
    const auto elapsed = static_cast<std::uint64_t>(std::max(time - filled_at_, {}).count());
    // Less than 2 to the 128: each of the two products is less than half of that.
    wide level = wide{tokens_} * per_ + fraction_ + wide{elapsed} * rate_;
    if (!waited)
        level = std::min(level, wide{burst_} * per_);
    tokens_ = static_cast<std::uint64_t>(level / per_);
    fraction_ = static_cast<std::uint64_t>(level % per_);
    filled_at_ = std::max(filled_at_, time);
}

deadline rate_limiter::time_of(std::size_t tokens) const noexcept {
    const wide missing = wide{tokens - tokens_} * per_ - fraction_;
    const wide wait = (missing + rate_ - 1) / rate_;
    const auto longest = deadline::clock::time_point::max() - filled_at_;
    if (wait >= static_cast<std::uint64_t>(longest.count()))
        return deadline::never();
    return filled_at_ + std::chrono::nanoseconds{static_cast<std::int64_t>(wait)};
}

bool rate_limiter::try_acquire(std::size_t tokens) {
    check(tokens);
    if (!first_in_line_.try_acquire())
        return false;
    const turn mine{first_in_line_};
    fill(now(), false);
    if (tokens > tokens_)
        return false;
    tokens_ -= tokens;
    return true;
}

bool rate_limiter::try_acquire_until(deadline until, std::size_t tokens) {
    check(tokens);
    if (!first_in_line_.try_acquire_until(until))
        return false;
    const turn mine{first_in_line_};
    fill(now(), false);
    if (tokens > tokens_) {
        const deadline at = time_of(tokens);
        if (at > until)
            return false;
        clock_.pass(at, detail::wait_kind::sleep, this, "rate_limiter::acquire");
        // Not until now: who is woken late, as all are a little, does not slow down the rate.
        fill(at.time(), true);
    }
    tokens_ -= tokens;
    return true;
}

} // namespace coir
