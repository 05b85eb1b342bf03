#include "sync/waiter_queue.hpp"

namespace coir::detail {

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
