#include <coir/detail/channel_core.hpp>

#include "sync/waiter_queue.hpp"

#include <algorithm>
#include <cstddef>
#include <new>

/// \file
/// A channel: a list of full nodes, those who wait to send and those who wait to receive. One lock guards all three.
///
/// An element is not moved under the lock, since moving is a user's code (unless it is known to copy bytes and nothing more:
/// element_operations::is_quiet). So a move takes three steps: under the lock, take what it is about out of the lists (a node,
/// a waiter that is thereby claimed); without the lock, move; under the lock again, put back. In between nobody else gets at
/// the same node or waiter, and `nodes_in_use_` and `being_sent_` say that they exist: a receiver that finds a closed channel
/// empty, but with elements on their way, waits for these.
///
/// - A sender that finds a waiting receiver moves its element right into the receiver's optional.
/// - A receiver without a buffer that finds a waiting sender moves right out of the sender's element.
/// - A receiver that has emptied a node of a full buffer moves the element of the sender that has waited longest into it.
///   So elements arrive in the order in which send() was called, and a newcomer does not take a place from under somebody.
///
/// Whoever moves on behalf of another may find that moving throws. It then delivers the other one's wait with nothing done
/// (a receiver's optional without value, a sender's `value` not null), who tries again, and meets the exception itself.
///
/// The one that is delivered to last may destroy the channel. So delivering is the last that is done.
namespace coir::detail {
namespace {

// Somebody waits in `list` who is not the same select() as `own`: one that both sends and receives does not meet itself.
bool has_another(intrusive_list<wait_record>& list, const select_case& own) noexcept {
    return list.find_if([&own](const wait_record& record) {
        return record.scope != wait_scope::select || &static_cast<const select_case&>(record).select != &own.select;
    }) != nullptr;
}

// Moving on behalf of another has thrown, maybe because the running fiber was cancelled while the move was suspended. It will
// be told at its next blocking call, as if for the first time.
void forget_failure() noexcept {
    if (loop* here = loop::current_with_running_fiber())
        here->running().cancel_thrown = false;
}

} // namespace

struct channel_core::node {
    node* next;
};

class channel_core::held : public guard {
public:
    using guard::guard;
};

channel_core::channel_core(const element_operations& operations, std::size_t capacity)
    : operations_(operations), capacity_(capacity),
      offset_((sizeof(node) + operations.alignment - 1) / operations.alignment * operations.alignment) {}

channel_core::~channel_core() {
    if (!receivers_.empty())
        destroyed_with_waiters(receivers_);
    while (node* full = full_front_) {
        full_front_ = full->next;
        operations_.destroy(element_of(*full));
        delete_node(full);
    }
    while (node* unused = unused_) {
        unused_ = unused->next;
        delete_node(unused);
    }
}

void* channel_core::element_of(node& of) const noexcept {
    return reinterpret_cast<std::byte*>(&of) + offset_;
}

channel_core::node* channel_core::new_node() const {
    const std::align_val_t alignment{std::max(alignof(node), operations_.alignment)};
    return ::new (::operator new(offset_ + operations_.size, alignment)) node{nullptr};
}

void channel_core::delete_node(node* unused) const noexcept {
    ::operator delete (unused, std::align_val_t{std::max(alignof(node), operations_.alignment)});
}

inline bool channel_core::put_quietly(void* element) noexcept {
    if (!unused_ || !has_room() || closed_ || !receivers_.empty() || !operations_.is_quiet)
        return false;
    node& into = *unused_;
    unused_ = into.next;
    ++nodes_in_use_;
    operations_.store(element_of(into), element);
    push_back(into);
    return true;
}

inline bool channel_core::take_quietly(void* optional) noexcept {
    // Receivers do not wait, since something is there.
    if (full_ == 0 || !senders_.waiters.empty() || !operations_.is_quiet)
        return false;
    node& from = *full_front_;
    full_front_ = from.next;
    --full_;
    operations_.take(optional, element_of(from));
    from.next = unused_;
    unused_ = &from;
    --nodes_in_use_;
    return true;
}

bool channel_core::send_at_once(void* element) noexcept {
    if (!senders_.lock.lock_if_biased())
        return false;
    const bool done = put_quietly(element);
    senders_.lock.unlock_biased();
    return done;
}

bool channel_core::receive_at_once(void* optional) noexcept {
    if (!senders_.lock.lock_if_biased())
        return false;
    const bool done = take_quietly(optional);
    senders_.lock.unlock_biased();
    return done;
}

channel_status channel_core::try_send(void* element) {
    return send(element, nullptr);
}

// Nothing may be left to be destroyed after park(): then it is a jump.
void channel_core::send_or_park(shared_wait& record, deadline until) {
    spend_turn(senders_.lock);
    switch (send(record.value, &record)) {
    case channel_status::would_block:
        return park(record, until);
    case channel_status::closed:
        return record.reason.store(wake_reason::closed, std::memory_order_relaxed);
    case channel_status::done:
        record.value = nullptr;
        return record.reason.store(wake_reason::notified, std::memory_order_relaxed);
    }
}

// Here, and in receive(), the lock is not left to a guard, so that the rare ways can go on with it by a jump.
inline channel_status channel_core::send(void* element, shared_wait* record) {
    spin_lock& lock = senders_.lock;
    const spin_lock::hold held = lock.lock();
    if (closed_) [[unlikely]] {
        lock.unlock(held);
        return channel_status::closed;
    }
    if (wait_record* receiver = claim_first(held, receivers_)) {
        if (!operations_.is_quiet)
            return hand_over(held, *receiver, element);
        operations_.take(receiver->value, element);
        lock.unlock(held);
        deliver(*receiver);
        return channel_status::done;
    }
    if (put_quietly(element)) {
        lock.unlock(held);
        return channel_status::done;
    }
    if (has_room())
        return send_buffered(held, element);
    if (record) {
        record->begin();
        senders_.waiters.push_back(*record);
    }
    lock.unlock(held);
    return channel_status::would_block;
}

channel_status channel_core::hand_over(spin_lock::hold how, wait_record& receiver, void* element) {
    senders_.lock.unlock(how);
    try {
        operations_.take(receiver.value, element);
    } catch (...) {
        deliver(receiver);
        throw;
    }
    deliver(receiver);
    return channel_status::done;
}

channel_status channel_core::send_buffered(spin_lock::hold how, void* element) {
    node* into = unused_;
    if (into)
        unused_ = into->next;
    ++nodes_in_use_;
    held lock{senders_.lock, how};
    ++being_sent_;
    lock.unlock();
    try {
        if (!into)
            into = new_node();
        operations_.store(element_of(*into), element);
    } catch (...) {
        lock.lock();
        give_up(into, lock);
        throw;
    }
    lock.lock();
    settle(*into, true, lock);
    return channel_status::done;
}

// A node, one of being_sent_, has no element in the end; null: there is not even a node.
void channel_core::give_up(node* unused, held& lock) noexcept {
    if (unused)
        return settle(*unused, false, lock);
    claimed_waiters ended;
    --being_sent_;
    --nodes_in_use_;
    if (has_ended())
        ended.claim_all(lock.how(), receivers_, wake_reason::closed);
    ended.claim_all(lock.how(), senders_.waiters); // there was no memory for a node; let them try, too
    lock.unlock();
}

// A node, one of being_sent_, keeps its element after all: the next receiver gets it.
void channel_core::put_back(node& full, held& lock) noexcept {
    --being_sent_;
    push_front(full);
    wait_record* receiver = claim_first(lock.how(), receivers_);
    lock.unlock();
    if (receiver)
        deliver(*receiver); // tries again
}

// What becomes of a node, one of being_sent_, and of those who wait. If it is full its element goes to a receiver, or else into the
// buffer; if it is free it takes the element of a sender; and so on. A loop, since any number may have come while somebody's move
// took its time. Who is claimed is delivered at the end: after that the channel may be gone.
void channel_core::settle(node& at, bool is_full, held& lock) noexcept {
    claimed_waiters served;
    while (is_full ? empty_into_receiver(at, is_full, served, lock) : fill_from_sender(at, is_full, served, lock)) {}
    lock.unlock();
}

// Both: false if nobody waits for that, and the node is where it belongs.
bool channel_core::empty_into_receiver(node& full, bool& is_full, claimed_waiters& served, held& lock) noexcept {
    wait_record* const receiver = claim_first(lock.how(), receivers_);
    if (!receiver) {
        --being_sent_;
        push_back(full);
        return false;
    }
    served.add(*receiver);
    lock.unlock();
    try {
        operations_.take(receiver->value, element_of(full));
    } catch (...) {
        forget_failure();
        lock.lock();
        --being_sent_;
        push_front(full);
        served.claim_next(lock.how(), receivers_); // tries again
        return false;
    }
    operations_.destroy(element_of(full));
    is_full = false;
    lock.lock();
    return true;
}

bool channel_core::fill_from_sender(node& unused, bool& is_full, claimed_waiters& served, held& lock) noexcept {
    --being_sent_;
    if (has_ended())
        served.claim_all(lock.how(), receivers_, wake_reason::closed);
    wait_record* const sender = claim_first(lock.how(), senders_.waiters);
    if (!sender) {
        unused.next = unused_;
        unused_ = &unused;
        --nodes_in_use_;
        return false;
    }
    served.add(*sender);
    ++being_sent_;
    lock.unlock();
    try {
        operations_.store(element_of(unused), sender->value);
        sender->value = nullptr;
        is_full = true;
    } catch (...) { // it will meet that itself
        forget_failure();
    }
    lock.lock();
    return true;
}

void channel_core::push_back(node& full) noexcept {
    full.next = nullptr;
    (full_ > 0 ? full_back_->next : full_front_) = &full;
    full_back_ = &full;
    ++full_;
}

void channel_core::push_front(node& full) noexcept {
    full.next = full_front_;
    full_front_ = &full;
    if (full_++ == 0)
        full_back_ = &full;
}

channel_status channel_core::try_receive(void* optional) {
    return receive(optional, nullptr);
}

void channel_core::receive_or_park(shared_wait& record, deadline until) {
    spend_turn(senders_.lock);
    switch (receive(record.value, &record)) {
    case channel_status::would_block:
        return park(record, until);
    case channel_status::closed:
        return record.reason.store(wake_reason::closed, std::memory_order_relaxed);
    case channel_status::done:
        return record.reason.store(wake_reason::notified, std::memory_order_relaxed);
    }
}

inline channel_status channel_core::receive(void* optional, shared_wait* record) {
    spin_lock& lock = senders_.lock;
    const spin_lock::hold held = lock.lock();
    if (take_quietly(optional)) {
        lock.unlock(held);
        return channel_status::done;
    }
    if (full_ > 0)
        return receive_buffered(held, optional);
    if (capacity_ == 0) {
        if (wait_record* sender = claim_first(held, senders_.waiters)) {
            if (!operations_.is_quiet)
                return receive_from(held, *sender, optional);
            operations_.take(optional, sender->value);
            sender->value = nullptr;
            lock.unlock(held);
            deliver(*sender);
            return channel_status::done;
        }
    }
    if (has_ended()) [[unlikely]] {
        lock.unlock(held);
        return channel_status::closed;
    }
    if (record) {
        record->begin();
        receivers_.push_back(*record);
    }
    lock.unlock(held);
    return channel_status::would_block;
}

channel_status channel_core::receive_buffered(spin_lock::hold how, void* optional) {
    node& from = *full_front_;
    full_front_ = from.next;
    --full_;
    held lock{senders_.lock, how};
    ++being_sent_; // it may come back
    lock.unlock();
    try {
        operations_.take(optional, element_of(from));
    } catch (...) {
        lock.lock();
        put_back(from, lock);
        throw;
    }
    operations_.destroy(element_of(from));
    lock.lock();
    give_up(&from, lock);
    return channel_status::done;
}

channel_status channel_core::receive_from(spin_lock::hold how, wait_record& sender, void* optional) {
    senders_.lock.unlock(how);
    try {
        operations_.take(optional, sender.value);
    } catch (...) {
        deliver(sender);
        throw;
    }
    sender.value = nullptr;
    deliver(sender);
    return channel_status::done;
}

wake_reason channel_core::end_wait(shared_wait& record) noexcept {
    const wake_reason reason = record.end();
    if (reason == wake_reason::timed_out || reason == wake_reason::cancelled)
        leave(record);
    return reason;
}

bool channel_core::enter_sender(select_case& record) noexcept {
    const held lock{senders_.lock};
    if (closed_ || has_another(receivers_, record) || has_room())
        return false;
    senders_.waiters.push_back(record);
    return true;
}

bool channel_core::enter_receiver(select_case& record) noexcept {
    const held lock{senders_.lock};
    if (full_ > 0 || (capacity_ == 0 && has_another(senders_.waiters, record)) || has_ended())
        return false;
    receivers_.push_back(record);
    return true;
}

void channel_core::leave(wait_record& record) noexcept {
    const held lock{senders_.lock};
    if (record.is_linked())
        record.unlink();
}

void channel_core::close() noexcept {
    claimed_waiters claimed;
    const held lock{senders_.lock};
    closed_ = true;
    claimed.claim_all(lock.how(), senders_.waiters, wake_reason::closed);
    if (has_ended())
        claimed.claim_all(lock.how(), receivers_, wake_reason::closed);
}

bool channel_core::is_closed() const noexcept {
    const held lock{senders_.lock};
    return closed_;
}

std::size_t channel_core::size() const noexcept {
    const held lock{senders_.lock};
    return full_;
}

} // namespace coir::detail
