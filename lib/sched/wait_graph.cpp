#include "sched/wait_graph.hpp"

#include "base/diagnostic.hpp"
#include "sched/describe.hpp"
#include "sched/holder_word.hpp"

#include <algorithm>
#include <atomic>
#include <functional>

namespace coir::detail {
namespace {

// The fiber that `waiting` waits for. It may be one of another loop, or gone without having unlocked, so it is no more than
// an address.
const fiber_base* address_of_blocker(const fiber_base& waiting) noexcept {
    const wait_record* record = waiting.waiting;
    if (!record || record->reason.load(std::memory_order_relaxed) != wake_reason::none)
        return nullptr;
    if (record->kind == wait_kind::join)
        return static_cast<const fiber_base*>(record->object);
    if (record->kind != wait_kind::mutex)
        return nullptr;
    const holder held = static_cast<const std::atomic<holder>*>(record->object)->load(std::memory_order_relaxed);
    return (held & is_thread) != 0 ? nullptr : reinterpret_cast<const fiber_base*>(held & ~holder_marks);
}

// The wait ends by itself some time.
bool has_deadline(const fiber_base& fiber) noexcept {
    if (fiber.waiting->timer_index != timer::no_timer)
        return true;
    for (const scope_state* scope = fiber.scope; scope; scope = scope->outer) {
        if (scope->timer_index != timer::no_timer)
            return true;
        if (scope->shields)
            return false;
    }
    return false;
}

} // namespace

wait_graph::wait_graph(intrusive_list<fiber_base>& fibers, std::size_t count) {
    nodes_.reserve(count);
    fibers.for_each([this](fiber_base& fiber) { nodes_.push_back({&fiber, nullptr, visit::not_yet}); });
    std::sort(nodes_.begin(), nodes_.end(),
              [](const node& a, const node& b) { return std::less<>{}(a.fiber, b.fiber); });
    for (node& each : nodes_)
        if (const fiber_base* blocker = address_of_blocker(*each.fiber))
            each.blocker = find(blocker);
}

wait_graph::node* wait_graph::find(const fiber_base* fiber) noexcept {
    const auto found = std::lower_bound(nodes_.begin(), nodes_.end(), fiber, [](const node& a, const fiber_base* b) {
        return std::less<const fiber_base*>{}(a.fiber, b);
    });
    return found != nodes_.end() && found->fiber == fiber ? &*found : nullptr;
}

std::string wait_graph::describe_state(const fiber_base& fiber) {
    return describe_state(*find(&fiber));
}

std::string wait_graph::describe_state(const node& of) {
    std::string text = detail::describe_state(*of.fiber);
    if (of.blocker && of.fiber->waiting->kind == wait_kind::mutex)
        text += ", which " + describe(*of.blocker->fiber) + " holds";
    return text;
}

// Everybody has one way out at most: who comes back to a fiber of the way that it is on has gone round a cycle.
void wait_graph::report_cycles() {
    for (node& begin : nodes_) {
        node* place = &begin;
        for (; place && place->visited == visit::not_yet; place = place->blocker)
            place->visited = visit::on_this_way;
        if (place && place->visited == visit::on_this_way)
            report_cycle(*place);
        for (place = &begin; place && place->visited == visit::on_this_way; place = place->blocker)
            place->visited = visit::done;
    }
}

void wait_graph::report_cycle(node& first) {
    bool is_known = true;
    node* place = &first;
    do {
        if (has_deadline(*place->fiber))
            return;
        is_known = is_known && place->fiber->cycle_reported;
        place = place->blocker;
    } while (place != &first);
    if (is_known)
        return;
    do {
        place->fiber->cycle_reported = true;
        report(describe(*place->fiber) + " is in a deadlock: only cancellation can end that; it " +
               describe_state(*place));
        place = place->blocker;
    } while (place != &first);
}

} // namespace coir::detail
