#include <coir/select.hpp>

#include "sync/event_access.hpp"
#include "sync/waiter_queue.hpp"

#include <cstdint>

namespace coir::detail {
namespace {

// Where to begin looking, so that no case is preferred: xorshift (G. Marsaglia, Xorshift RNGs, 2003).
std::size_t anywhere(std::size_t size) noexcept {
    static constinit thread_local std::uint32_t state = 2463534242;
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state % size;
}

struct earliest {
    deadline time;
    std::size_t index = 0;
};

earliest find_earliest(std::span<selectable* const> cases) noexcept {
    earliest found;
    for (std::size_t i = 0; i < cases.size(); ++i)
        if (cases[i]->ready_at() < found.time)
            found = {cases[i]->ready_at(), i};
    return found;
}

/// One round of waiting: the cases that have been entered.
class round {
public:
    explicit round(std::span<selectable* const> cases) noexcept : cases_(cases) {}

    /// False: one case need not wait.
    bool enter(shared_wait& whole) {
        for (; entered_ < cases_.size(); ++entered_) {
            cases_[entered_]->begin(whole);
            if (!cases_[entered_]->enter())
                return false;
        }
        return true;
    }

    void leave() noexcept {
        while (entered_ > 0)
            cases_[--entered_]->leave();
    }

private:
    std::span<selectable* const> cases_;
    std::size_t entered_ = 0;
};

} // namespace

selectable::~selectable() = default;

// Doing happens only while no case is entered, so nobody can choose another one meanwhile; waiting only while all are.
std::size_t select_among(std::span<selectable* const> cases, bool may_wait) {
    const std::size_t start = anywhere(cases.size());
    for (;;) {
        for (std::size_t i = 0; i < cases.size(); ++i) {
            const std::size_t index = (start + i) % cases.size();
            if (cases[index]->try_now())
                return index;
        }
        if (!may_wait)
            return cases.size();

        const earliest limit = find_earliest(cases);
        shared_wait whole{wait_kind::select, nullptr};
        round waiting{cases};
        const bool must_wait = waiting.enter(whole);
        if (!must_wait && claim(whole, wake_reason::notified)) {
            waiting.leave();
            continue;
        }
        // Either all cases wait, or one that had been entered was chosen meanwhile, and is being delivered.
        whole.park(must_wait ? limit.time : deadline::never());
        const wake_reason reason = whole.end();
        waiting.leave();
        if (reason == wake_reason::timed_out)
            return limit.index;
        if (reason == wake_reason::cancelled)
            throw_cancelled(*whole.owner, "select");
        for (std::size_t i = 0; i < cases.size(); ++i)
            if (cases[i]->owns(whole.chosen) && cases[i]->complete(reason))
                return i;
    }
}

bool event_case::enter() {
    return event_access::enter(event_, record());
}

void event_case::leave() noexcept {
    event_access::leave(event_, record());
}

} // namespace coir::detail
