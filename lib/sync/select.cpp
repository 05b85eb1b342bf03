#include <coir/select.hpp>

#include "sched/cancellation.hpp"
#include "sched/shared_wait.hpp"

#include <algorithm>
#include <cstdint>
#include <utility>

/// \file
/// select(): several waits as one. Each case has a record in the list of its object; who claims one of them claims the
/// shared_wait of the select() as a whole, so that only one case can be chosen, and says which.
///
/// Operations without waiting are done only while no case is entered, so that nobody can choose another one meanwhile; and
/// select() waits only while all are entered. Between its look at the first and its entering the last, something may have
/// become possible: entering says so, under the object's lock, and select() begins anew.
namespace coir::detail {
namespace {

// Below `bound`: xorshift (G. Marsaglia, Xorshift RNGs, 2003).
std::size_t random_below(std::size_t bound) noexcept {
    static constinit thread_local std::uint32_t state = 2463534242;
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return static_cast<std::size_t>((std::uint64_t{state} * bound) >> 32);
}

// Does the first that is possible, in an order in which each is equally likely to come before the others. Null: none is.
selectable* try_in_random_order(std::span<selectable*> cases) {
    for (std::size_t i = 0; i < cases.size(); ++i) {
        std::swap(cases[i], cases[i + random_below(cases.size() - i)]);
        if (cases[i]->try_now())
            return cases[i];
    }
    return nullptr;
}

selectable* find_earliest(std::span<selectable* const> cases) noexcept {
    selectable* earliest = cases.front();
    for (selectable* each : cases)
        if (each->ready_at() < earliest->ready_at())
            earliest = each;
    return earliest;
}

// False: one case need not wait, and it and those after it have not been entered. `entered` counts.
bool enter_all(std::span<selectable* const> cases, shared_wait& whole, std::size_t& entered) {
    for (; entered < cases.size(); ++entered) {
        cases[entered]->begin(whole);
        if (!cases[entered]->enter())
            return false;
    }
    return true;
}

bool is_for_descriptor(const selectable* one) noexcept {
    return one->kind() == wait_kind::readable || one->kind() == wait_kind::writable;
}

// One round of waiting. Null: another is needed.
selectable* wait_for_one(std::span<selectable* const> cases) {
    selectable* const earliest = find_earliest(cases);
    shared_wait whole{wait_kind::select, nullptr};
    whole.begin();
    if (std::any_of(cases.begin(), cases.end(), is_for_descriptor)) // then it is no deadlock: see loop::is_deadlocked()
        whole.value = &whole;
    std::size_t entered = 0;
    const bool must_wait = enter_all(cases, whole, entered);
    const bool retracted = !must_wait && claim(whole, wake_reason::notified);
    if (!retracted) // all wait; or one that had been entered was chosen meanwhile, and is being delivered
        whole.park(must_wait ? earliest->ready_at() : deadline::never());
    const wake_reason reason = retracted ? wake_reason::notified : whole.end();
    while (entered > 0)
        if (!cases[--entered]->owns(whole.chosen))
            cases[entered]->leave();
    if (retracted)
        return nullptr;
    if (reason == wake_reason::timed_out)
        return earliest;
    if (reason == wake_reason::cancelled)
        throw_cancelled(*whole.owner, "select");
    for (selectable* each : cases)
        if (each->owns(whole.chosen))
            return each->complete(reason) ? each : nullptr;
    return nullptr;
}

} // namespace

std::size_t select_among(std::span<selectable*> cases, bool may_wait) {
    for (std::size_t i = 0; i < cases.size(); ++i)
        cases[i]->index = i;
    if (loop* here = may_wait ? loop::current_with_running_fiber() : nullptr)
        here->spend(1); // others may always be faster than this one looks
    for (;;) {
        selectable* chosen = try_in_random_order(cases);
        if (!chosen && !may_wait)
            return cases.size();
        if (!chosen)
            chosen = wait_for_one(cases);
        if (chosen)
            return chosen->index;
    }
}

} // namespace coir::detail
