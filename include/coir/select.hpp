#pragma once

#include <coir/channel.hpp>
#include <coir/deadline.hpp>
#include <coir/detail/selectable.hpp>
#include <coir/export.hpp>

#include <array>
#include <concepts>
#include <cstddef>
#include <optional>
#include <span>
#include <utility>

namespace coir {

namespace detail {

template <class T> class receive_case final : public selectable {
public:
    receive_case(channel<T>& from, std::optional<T>& into) noexcept
        : selectable(wait_kind::receive, &from), from_(channel_access::core(from)), into_(into) {
        into.reset(); // whichever case is chosen
    }

    bool try_now() override {
        into_.reset();
        return from_.try_receive(&into_) != channel_status::would_block; // closed: no value
    }
    bool enter() noexcept override {
        record().value = &into_;
        return from_.enter_receiver(record());
    }
    void leave() noexcept override { from_.leave(record()); }
    bool complete(wake_reason why) override {
        // Without a value it was called for one that lies there: another case must not be chosen over that, or nobody takes it.
        return why == wake_reason::closed || into_.has_value() || try_now();
    }

private:
    channel_core& from_;
    std::optional<T>& into_;
};

template <class T> class send_case final : public selectable {
public:
    send_case(channel<T>& to, T& message) noexcept
        : selectable(wait_kind::send, &to), to_(channel_access::core(to)), message_(message) {}

    bool try_now() override {
        const channel_status status = to_.try_send(std::addressof(message_));
        if (status == channel_status::closed)
            throw_channel_error(wake_reason::closed, "select");
        return status == channel_status::done;
    }
    bool enter() noexcept override {
        record().value = std::addressof(message_);
        return to_.enter_sender(record());
    }
    void leave() noexcept override { to_.leave(record()); }
    bool complete(wake_reason why) override {
        if (why == wake_reason::closed)
            throw_channel_error(why, "select");
        return !record().value; // taken
    }

private:
    channel_core& to_;
    T& message_;
};

class COIR_EXPORT timeout_case final : public selectable {
public:
    explicit timeout_case(deadline until) noexcept : until_(until) {}
    bool try_now() override { return false; }
    bool enter() noexcept override { return true; }
    void leave() noexcept override {}
    bool complete(wake_reason /*why*/) override { return true; }
    [[nodiscard]] deadline ready_at() const noexcept override { return until_; }

private:
    const deadline until_;
};

/// Waits until one of `cases` is done, and returns its index. `may_wait` false: cases.size() if none is possible now. Changes
/// the order of `cases`.
COIR_EXPORT std::size_t select_among(std::span<selectable*> cases, bool may_wait);

} // namespace detail

/// Cases for select(), which must not outlive what they refer to. Others: is_set(event), ended(fiber), io::readable(number),
/// io::writable(number), each in the header of its object.
///
/// Receives a message from `from`; `into` is emptied, and stays empty when the channel is closed and nothing is left.
template <class T>
[[nodiscard]] detail::receive_case<T> receive_from(channel<T>& from, std::optional<T>& into) noexcept {
    return {from, into};
}
/// Sends `message` into `to`; it is moved from if this case is chosen, and untouched otherwise. When `to` is closed, select()
/// throws std::system_error with std::errc::broken_pipe.
template <class T> [[nodiscard]] detail::send_case<T> send_to(channel<T>& to, T& message) noexcept {
    return {to, message};
}
/// Ready when `until` has come. Of several, the earliest counts.
[[nodiscard]] inline detail::timeout_case after(deadline until) noexcept {
    return detail::timeout_case{until};
}

/// Waits for several operations at once: performs the first that becomes possible, and only that one, and returns its index. If
/// several are possible, each is equally likely. The others have no effect: nothing is sent, received or lost.
///
/// Suspends if none is possible. Cancellation is checked only when it has to wait: coir::cancelled. In a thread without a loop
/// it blocks as threads do (cases for descriptors and fibers need a loop). An operation that is possible takes precedence over
/// a deadline that has passed.
///
///     std::optional<request> next;
///     switch (coir::select(coir::receive_from(requests, next), coir::is_set(stopping), coir::after(30s))) {
///     case 0: answer(*next); break;
///     case 1: return;
///     case 2: close_idle_connections(); break;
///     }
template <std::derived_from<detail::selectable>... Cases> std::size_t select(Cases&&... cases) {
    static_assert(sizeof...(Cases) > 0, "select() without a case would wait for ever");
    std::array<detail::selectable*, sizeof...(Cases)> all{&cases...};
    return detail::select_among(all, true);
}

/// As select(), but never waits: std::nullopt if nothing is possible now.
template <std::derived_from<detail::selectable>... Cases>
[[nodiscard]] std::optional<std::size_t> try_select(Cases&&... cases) {
    std::array<detail::selectable*, sizeof...(Cases)> all{&cases...};
    const std::size_t chosen = detail::select_among(all, false);
    return chosen < sizeof...(Cases) ? std::optional{chosen} : std::nullopt;
}

} // namespace coir
