#pragma once

#include <coir/deadline.hpp>
#include <coir/detail/channel_core.hpp>
#include <coir/export.hpp>

#include <cstddef>
#include <iterator>
#include <optional>
#include <system_error>
#include <type_traits>
#include <utility>

namespace coir {

namespace detail {
[[noreturn]] COIR_EXPORT void throw_channel_error(wake_reason why, const char* operation);
[[nodiscard]] COIR_EXPORT std::error_code channel_error(wake_reason why) noexcept;
struct channel_access;
} // namespace detail

/// A queue of messages between fibers of one loop or several, and threads without a loop, which then block as threads do.
/// Any number may send and receive. Messages arrive in the order in which they were sent.
///
/// The channel buffers up to `capacity` messages; send() waits while it is full. 0: send() waits until a receiver has the
/// message. `unbounded`: send() never waits.
///
/// **Closing.** After close() nothing more can be sent; receivers get what is left, and then std::nullopt.
///
/// **Nothing is lost.** A message is moved from only when it has been accepted: a send() that fails, by deadline, cancellation
/// or closing, leaves the caller's object unchanged; a receive() whose message has arrived delivers it, whatever else has
/// happened. Elements may be of move-only types; if moving throws, the message stays where it was.
///
/// **Suspension.** send() and receive() suspend when they have to wait; waiters are served in order. Cancellation is checked
/// only when they have to wait: coir::cancelled. A deadline: std::system_error with std::errc::timed_out. Sending into a closed
/// channel: std::errc::broken_pipe. With a std::error_code: these, and std::errc::operation_canceled.
///
///     coir::channel<std::string> lines{16};
///     coir::spawn([&] { for (auto& line : read_lines()) lines.send(std::move(line)); lines.close(); }).detach();
///     for (const std::string& line : lines)
///         std::cout << line << '\n';
template <class T> class channel {
public:
    static_assert(std::is_object_v<T> && std::is_move_constructible_v<T>, "elements are moved");

    using value_type = T;
    static constexpr std::size_t unbounded = detail::channel_core::unbounded;

    explicit channel(std::size_t capacity = 0) : core_(detail::operations_of<T>, capacity) {}

    /// Moves `message` into the channel, or copies it.
    void send(T&& message, deadline until = {}) {
        if (const detail::wake_reason end = await_sent(message, until); end != detail::wake_reason::notified)
            detail::throw_channel_error(end, "channel::send");
    }
    void send(const T& message, deadline until = {}) { send(T(message), until); }
    /// True: sent.
    bool send(T&& message, std::error_code& error, deadline until = {}) {
        error = detail::channel_error(await_sent(message, until));
        return !error;
    }
    bool send(const T& message, std::error_code& error, deadline until = {}) { return send(T(message), error, until); }

    /// Sends if that is possible without waiting. Never suspends, unless moving an element does.
    [[nodiscard]] bool try_send(T&& message) {
        return core_.try_send(std::addressof(message)) == detail::channel_status::done;
    }
    [[nodiscard]] bool try_send(const T& message) { return try_send(T(message)); }

    /// The next message; std::nullopt when the channel is closed and nothing is left.
    [[nodiscard]] std::optional<T> receive(deadline until = {}) {
        std::optional<T> message;
        const detail::wake_reason end = await_received(message, until);
        if (end != detail::wake_reason::notified && end != detail::wake_reason::closed)
            detail::throw_channel_error(end, "channel::receive");
        return message;
    }
    [[nodiscard]] std::optional<T> receive(std::error_code& error, deadline until = {}) {
        std::optional<T> message;
        const detail::wake_reason end = await_received(message, until);
        error = end == detail::wake_reason::closed ? std::error_code{} : detail::channel_error(end);
        return message;
    }

    /// The next message, if there is one. Never suspends, unless moving an element does.
    [[nodiscard]] std::optional<T> try_receive() {
        std::optional<T> message;
        core_.try_receive(&message);
        return message;
    }

    /// No more messages can be sent. Pending send() calls fail. Never suspends. A second call has no effect.
    void close() noexcept { core_.close(); }
    [[nodiscard]] bool is_closed() const noexcept { return core_.is_closed(); }

    /// The number of messages waiting to be received; it may have changed a moment later.
    [[nodiscard]] std::size_t size() const noexcept { return core_.size(); }
    [[nodiscard]] bool empty() const noexcept { return size() == 0; }
    [[nodiscard]] std::size_t capacity() const noexcept { return core_.capacity(); }

    /// Receives: an input range that ends when the channel is closed and empty.
    class iterator {
    public:
        using value_type = T;
        using difference_type = std::ptrdiff_t;
        using iterator_concept = std::input_iterator_tag;

        iterator() = default;
        explicit iterator(channel& from) : from_(&from), message_(from.receive()) {}
        iterator(iterator&&) noexcept(std::is_nothrow_move_constructible_v<T>) = default;
        iterator& operator=(iterator&&) noexcept(std::is_nothrow_move_assignable_v<T>) = default;

        [[nodiscard]] T& operator*() const noexcept { return *message_; }
        [[nodiscard]] T* operator->() const noexcept { return std::addressof(*message_); }
        iterator& operator++() {
            message_.reset();
            std::optional<T> next = from_->receive();
            if (next)
                message_.emplace(std::move(*next));
            return *this;
        }
        void operator++(int) { ++*this; }
        [[nodiscard]] bool operator==(std::default_sentinel_t) const noexcept { return !message_; }

    private:
        channel* from_ = nullptr;
        mutable std::optional<T> message_;
    };

    [[nodiscard]] iterator begin() { return iterator{*this}; }
    [[nodiscard]] static std::default_sentinel_t end() noexcept { return {}; }

private:
    friend struct detail::channel_access;

    // `notified` when it has been sent.
    detail::wake_reason await_sent(T& message, deadline until) {
        if (capacity() > 0 && core_.send_at_once(std::addressof(message)))
            return detail::wake_reason::notified;
        for (;;) {
            detail::shared_wait record{detail::wait_kind::send, this};
            record.value = std::addressof(message);
            core_.send_or_park(record, until);
            const detail::wake_reason end =
                record.plainly_notified() ? detail::wake_reason::notified : core_.end_wait(record);
            if (end != detail::wake_reason::notified || !record.value)
                return end;
        }
    }

    // `notified` when there is a message, `closed` when there will be none.
    detail::wake_reason await_received(std::optional<T>& message, deadline until) {
        if (capacity() > 0 && core_.receive_at_once(&message))
            return detail::wake_reason::notified;
        for (;;) {
            detail::shared_wait record{detail::wait_kind::receive, this};
            record.value = &message;
            core_.receive_or_park(record, until);
            const detail::wake_reason end =
                record.plainly_notified() ? detail::wake_reason::notified : core_.end_wait(record);
            if (end != detail::wake_reason::notified || message)
                return end;
        }
    }

    detail::channel_core core_;
};

namespace detail {

/// A channel as select() sees it.
struct channel_access {
    template <class T> [[nodiscard]] static channel_core& core(channel<T>& of) noexcept { return of.core_; }
};

} // namespace detail
} // namespace coir
