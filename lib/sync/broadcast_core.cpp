#include <coir/detail/broadcast_core.hpp>

#include <coir/detail/scope_state.hpp>

#include <algorithm>
#include <mutex>
#include <stdexcept>
#include <utility>

/// \file
/// A broadcast: each subscriber has a ring of pointers to values that all share. One mutex guards all rings; it is held while a
/// value is put into every one of them, which may be many: hence no spin lock.
///
/// Senders take turns by another mutex, so that the values are in the same order for all subscribers, and
/// the one that waits for room is alone in that. It need not search for who has none: `full_` counts these. Receivers of one
/// subscription take turns, too: else a newcomer could take the value for which another has just been woken, again and again.
///
/// A value's destructor is a user's code, and may call the broadcast. So the last pointer to one never dies under a lock.
namespace coir::detail {

struct broadcast_subscriber {
    broadcast_subscriber(std::size_t capacity, slow_subscriber what) : values(capacity), rule(what) {}

    [[nodiscard]] bool is_full() const noexcept { return size == values.size(); }

    void push(const broadcast_value& value) noexcept {
        values[(first + size) % values.size()] = value; // into a place that is null
        ++size;
    }

    [[nodiscard]] broadcast_value pop() noexcept {
        broadcast_value oldest = std::exchange(values[first], nullptr);
        first = (first + 1) % values.size();
        --size;
        return oldest;
    }

    std::vector<broadcast_value> values; // a ring
    std::size_t first = 0;
    std::size_t size = 0;
    const slow_subscriber rule;
    std::uint64_t missed = 0;
    std::size_t index = 0;      // among all
    mutex receiving;            // held by who receives, or waits until there is something
    condition_variable arrived; // size is not 0, or the broadcast is closed
};

namespace {

// For what must not fail: holds `mutex` and is not interrupted in waiting for it, which does not take long.
class peaceful_lock {
public:
    explicit peaceful_lock(mutex& which) noexcept : lock_(which) {}

private:
    cancellation_pause in_peace_;
    std::lock_guard<mutex> lock_;
};

} // namespace

broadcast_core::broadcast_core(std::size_t capacity) : capacity_(capacity) {
    if (capacity == 0)
        throw std::invalid_argument("coir: a broadcast with room for nothing");
}

broadcast_core::~broadcast_core() = default;

broadcast_subscriber* broadcast_core::subscribe(slow_subscriber rule) {
    auto fresh = std::make_unique<broadcast_subscriber>(capacity_, rule);
    const peaceful_lock lock{mutex_};
    fresh->index = subscribers_.size();
    subscribers_.push_back(fresh.get());
    if (rule == slow_subscriber::loses_oldest)
        ++lossy_;
    return fresh.release();
}

void broadcast_core::unsubscribe(broadcast_subscriber& subscriber) noexcept {
    const std::unique_ptr<broadcast_subscriber> unlocked{&subscriber}; // destroys what it has not received, at the end
    const peaceful_lock lock{mutex_};
    subscribers_.back()->index = subscriber.index;
    subscribers_[subscriber.index] = subscribers_.back();
    subscribers_.pop_back();
    if (subscriber.rule == slow_subscriber::loses_oldest)
        --lossy_;
    else if (subscriber.is_full())
        has_room_again();
}

void broadcast_core::has_room_again() noexcept {
    if (--full_ == 0)
        room_.notify_one();
}

std::errc broadcast_core::send(const broadcast_value& value, deadline until) {
    std::vector<broadcast_value> lost; // before the locks, to be destroyed after them
    if (!sending_.try_lock_until(until))
        return std::errc::timed_out;
    const std::lock_guard turn{sending_, std::adopt_lock};
    std::unique_lock lock{mutex_};
    if (!room_.wait_until(lock, until, [this] { return full_ == 0 || closed_; }))
        return std::errc::timed_out;
    if (closed_)
        return std::errc::broken_pipe;
    lost.reserve(lossy_); // the last that may throw
    for (broadcast_subscriber* each : subscribers_) {
        if (each->is_full()) {
            lost.push_back(each->pop());
            ++each->missed;
        }
        each->push(value);
        if (each->is_full() && each->rule == slow_subscriber::is_waited_for)
            ++full_;
        each->arrived.notify_one();
    }
    return {};
}

std::errc broadcast_core::receive(broadcast_subscriber& subscriber, broadcast_value& value, deadline until) {
    if (!subscriber.receiving.try_lock_until(until))
        return std::errc::timed_out;
    const std::lock_guard turn{subscriber.receiving, std::adopt_lock};
    std::unique_lock lock{mutex_};
    if (!subscriber.arrived.wait_until(lock, until, [&] { return subscriber.size > 0 || closed_; }))
        return std::errc::timed_out;
    if (subscriber.size > 0)
        value = take_from(subscriber);
    return {};
}

broadcast_value broadcast_core::try_receive(broadcast_subscriber& subscriber) {
    if (!subscriber.receiving.try_lock()) // who receives at the moment gets what is there
        return nullptr;
    const std::lock_guard turn{subscriber.receiving, std::adopt_lock};
    const peaceful_lock lock{mutex_};
    return subscriber.size > 0 ? take_from(subscriber) : nullptr;
}

broadcast_value broadcast_core::take_from(broadcast_subscriber& subscriber) noexcept {
    const bool was_waited_for = subscriber.is_full() && subscriber.rule == slow_subscriber::is_waited_for;
    broadcast_value oldest = subscriber.pop();
    if (was_waited_for)
        has_room_again();
    return oldest;
}

void broadcast_core::close() noexcept {
    const peaceful_lock lock{mutex_};
    closed_ = true;
    room_.notify_one();
    for (broadcast_subscriber* each : subscribers_)
        each->arrived.notify_one();
}

bool broadcast_core::is_closed() const noexcept {
    const peaceful_lock lock{mutex_};
    return closed_;
}

std::size_t broadcast_core::subscribers() const noexcept {
    const peaceful_lock lock{mutex_};
    return subscribers_.size();
}

std::size_t broadcast_core::size_of(const broadcast_subscriber& subscriber) const noexcept {
    const peaceful_lock lock{mutex_};
    return subscriber.size;
}

std::uint64_t broadcast_core::missed_by(const broadcast_subscriber& subscriber) const noexcept {
    const peaceful_lock lock{mutex_};
    return subscriber.missed;
}

void throw_no_subscription() {
    throw std::logic_error("coir: this broadcast subscription has been moved from");
}

void throw_broadcast_error(std::errc error, const char* operation) {
    throw std::system_error(std::make_error_code(error), std::string{"coir: "} + operation);
}

} // namespace coir::detail
