#include "sync/waiter_queue.hpp"

#include "base/diagnostic.hpp"
#include "base/process_end.hpp"
#include "sched/describe.hpp"

#include <cstdlib>
#include <string>

namespace coir::detail {
namespace {

bool is_given_up(const wait_record& record) noexcept {
    return record.owner && record.owner->owner->is_abandoned();
}

} // namespace

void destroyed_with_waiters(intrusive_list<wait_record>& waiters) noexcept {
    const wait_record* hopeful = waiters.find_if([](const wait_record& record) { return !is_given_up(record); });
    if (!hopeful || is_process_ending())
        return;
    report(
        [&] {
            const std::string who = hopeful->owner ? describe(*hopeful->owner) : "a thread without a loop";
            return who + ' ' + describe_wait(*hopeful) + ", which is destroyed";
        },
        "somebody waits for what is destroyed");
    std::abort();
}

bool end_turn(waiter_queue& queue, shared_wait& record, const char* operation) {
    const wake_reason reason = record.end();
    if (reason == wake_reason::notified)
        return true;
    {
        const guard held{queue.lock};
        if (record.is_linked()) // who found it claimed has taken it out
            record.unlink();
    }
    if (reason == wake_reason::cancelled)
        throw_cancelled(*record.owner, operation);
    return false;
}

} // namespace coir::detail
