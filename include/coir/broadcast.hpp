#pragma once

#include <coir/deadline.hpp>
#include <coir/detail/broadcast_core.hpp>
#include <coir/slow_subscriber.hpp>

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <system_error>
#include <type_traits>
#include <utility>

namespace coir {

/// Delivers every value to every subscriber: each receives all values sent since it subscribed, in the same order. Works
/// between fibers of one loop or several, and threads without a loop, which then block as threads do. Any number of senders is
/// allowed. Several receivers may share a subscription, which then is a queue between them: first come, first served.
///
/// **Slow subscribers.** Each has room for `capacity` values that it has not received yet. When a subscriber has none left,
/// send() waits for it, unless it subscribed with slow_subscriber::loses_oldest: then it loses its oldest value, and missed()
/// counts that. Destroy a subscription that nobody receives from any more: it holds up all the others.
///
/// **Closing.** After close(), and when the broadcast is destroyed, nothing more can be sent; subscribers get what is left,
/// and then std::nullopt. Subscriptions may outlive the broadcast.
///
/// **Suspension.** send() suspends when it has to wait for a subscriber, or for its turn, which is as fair as a coir::mutex.
/// receive() suspends when there is no value. Both may, for a moment, when another thread uses the same broadcast. Cancellation
/// is checked only when they have to wait: coir::cancelled. A deadline: std::system_error with std::errc::timed_out. Sending
/// into a closed one: std::errc::broken_pipe. A send() that fails has delivered nothing, and leaves the caller's object
/// unchanged.
///
///     coir::broadcast<quote> quotes{64};
///     coir::spawn([from = quotes.subscribe()]() mutable { for (const quote& one : from) print(one); }).detach();
///     quotes.send({"ACME", 17.5});
template <class T> class broadcast {
public:
    static_assert(std::is_object_v<T> && std::is_move_constructible_v<T>, "values are moved");

    using value_type = T;
    class subscription;

    /// Throws std::invalid_argument if `capacity` is 0.
    explicit broadcast(std::size_t capacity) : core_(std::make_shared<detail::broadcast_core>(capacity)) {}
    broadcast(const broadcast&) = delete;
    broadcast& operator=(const broadcast&) = delete;
    ~broadcast() { close(); }

    /// The subscription receives everything sent from now on.
    [[nodiscard]] subscription subscribe(slow_subscriber rule = slow_subscriber::is_waited_for) {
        return subscription{core_, rule};
    }

    /// Moves `value`, or copies it, once for all subscribers.
    void send(T&& value, deadline until = {}) {
        const auto shared = std::make_shared<T>(std::move(value));
        try {
            send_shared(shared, until);
        } catch (...) {
            value = std::move(*shared);
            throw;
        }
    }
    void send(const T& value, deadline until = {}) { send_shared(std::make_shared<T>(value), until); }

    /// No more values can be sent. Pending send() calls fail. A second call has no effect.
    void close() noexcept { core_->close(); }
    [[nodiscard]] bool is_closed() const noexcept { return core_->is_closed(); }

    /// The number of subscriptions; it may have changed a moment later.
    [[nodiscard]] std::size_t subscribers() const noexcept { return core_->subscribers(); }

private:
    void send_shared(const detail::broadcast_value& value, deadline until) {
        if (const std::errc error = core_->send(value, until); error != std::errc{})
            detail::throw_broadcast_error(error, "broadcast::send");
    }

    std::shared_ptr<detail::broadcast_core> core_;
};

/// What one subscriber has not received yet. Destroying it ends the subscription; nobody may be receiving from it at that time.
/// Receiving from a moved-from subscription throws std::logic_error.
template <class T> class broadcast<T>::subscription {
public:
    subscription(subscription&& other) noexcept
        : core_(std::move(other.core_)), state_(std::exchange(other.state_, nullptr)) {}
    subscription& operator=(subscription&& other) noexcept {
        subscription old{std::move(other)};
        std::swap(core_, old.core_);
        std::swap(state_, old.state_);
        return *this;
    }
    ~subscription() {
        if (state_)
            core_->unsubscribe(*state_);
    }

    /// The next value, a copy of it; std::nullopt when the broadcast is closed and nothing is left.
    [[nodiscard]] std::optional<T> receive(deadline until = {}) {
        const std::shared_ptr<const T> value = receive_shared(until);
        return value ? std::optional<T>{*value} : std::nullopt;
    }

    /// As receive(), without a copy: all subscribers share the value. Null when the broadcast is closed and nothing is left.
    [[nodiscard]] std::shared_ptr<const T> receive_shared(deadline until = {}) {
        detail::broadcast_subscriber& mine = subscriber();
        detail::broadcast_value value;
        if (const std::errc error = core_->receive(mine, value, until); error != std::errc{})
            detail::throw_broadcast_error(error, "broadcast::receive");
        return std::static_pointer_cast<const T>(std::move(value));
    }

    /// A copy of the next value, if there is one and nobody else is receiving from this subscription. Does not wait;
    /// is_closed() tells whether more values can come.
    [[nodiscard]] std::optional<T> try_receive() {
        detail::broadcast_subscriber& mine = subscriber();
        const auto value = std::static_pointer_cast<const T>(core_->try_receive(mine));
        return value ? std::optional<T>{*value} : std::nullopt;
    }

    /// The number of values waiting to be received; it may have changed a moment later.
    [[nodiscard]] std::size_t size() const noexcept { return state_ ? core_->size_of(*state_) : 0; }
    [[nodiscard]] bool empty() const noexcept { return size() == 0; }

    /// The number of values lost because this subscriber was too slow.
    [[nodiscard]] std::uint64_t missed() const noexcept { return state_ ? core_->missed_by(*state_) : 0; }

    /// Receives without copying: an input range that ends when the broadcast is closed and nothing is left.
    class iterator {
    public:
        using value_type = T;
        using difference_type = std::ptrdiff_t;
        using iterator_concept = std::input_iterator_tag;

        iterator() = default;
        explicit iterator(subscription& from) : from_(&from), value_(from.receive_shared()) {}

        [[nodiscard]] const T& operator*() const noexcept { return *value_; }
        [[nodiscard]] const T* operator->() const noexcept { return value_.get(); }
        iterator& operator++() {
            value_ = nullptr; // this may release the last reference
            value_ = from_->receive_shared();
            return *this;
        }
        void operator++(int) { ++*this; }
        [[nodiscard]] bool operator==(std::default_sentinel_t) const noexcept { return !value_; }

    private:
        subscription* from_ = nullptr;
        std::shared_ptr<const T> value_;
    };

    [[nodiscard]] iterator begin() { return iterator{*this}; }
    [[nodiscard]] static std::default_sentinel_t end() noexcept { return {}; }

private:
    friend broadcast;
    subscription(std::shared_ptr<detail::broadcast_core> core, slow_subscriber rule)
        : core_(std::move(core)), state_(core_->subscribe(rule)) {}

    [[nodiscard]] detail::broadcast_subscriber& subscriber() const {
        if (!state_)
            detail::throw_no_subscription();
        return *state_;
    }

    std::shared_ptr<detail::broadcast_core> core_;
    detail::broadcast_subscriber* state_;
};

} // namespace coir
