#pragma once

#include <coir/condition_variable.hpp>
#include <coir/deadline.hpp>
#include <coir/export.hpp>
#include <coir/mutex.hpp>
#include <coir/slow_subscriber.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <system_error>
#include <vector>

namespace coir::detail {

/// A value that all subscribers share, of a type that only the broadcast knows.
using broadcast_value = std::shared_ptr<const void>;

struct broadcast_subscriber;

/// A broadcast without the type of its values: lib/sync/broadcast_core.cpp explains how it works.
class COIR_EXPORT broadcast_core {
public:
    explicit broadcast_core(std::size_t capacity);
    ~broadcast_core();
    broadcast_core(const broadcast_core&) = delete;
    broadcast_core& operator=(const broadcast_core&) = delete;

    [[nodiscard]] broadcast_subscriber* subscribe(slow_subscriber rule);
    void unsubscribe(broadcast_subscriber& subscriber) noexcept;

    /// The result of a send() or receive(): no error, std::errc::timed_out, or broken_pipe (closed). They throw cancelled.
    [[nodiscard]] std::errc send(const broadcast_value& value, deadline until);
    /// No error and no value: closed, and nothing is left.
    [[nodiscard]] std::errc receive(broadcast_subscriber& subscriber, broadcast_value& value, deadline until);
    /// The oldest value that is there, or null.
    [[nodiscard]] broadcast_value try_receive(broadcast_subscriber& subscriber);

    void close() noexcept;
    [[nodiscard]] bool is_closed() const noexcept;
    [[nodiscard]] std::size_t subscribers() const noexcept;
    [[nodiscard]] std::size_t size_of(const broadcast_subscriber& subscriber) const noexcept;
    [[nodiscard]] std::uint64_t missed_by(const broadcast_subscriber& subscriber) const noexcept;

private:
    void has_room_again() noexcept;
    [[nodiscard]] broadcast_value take_from(broadcast_subscriber& subscriber) noexcept;

    const std::size_t capacity_; ///< of each subscriber
    mutex sending_;              ///< held by a sender, also while it waits until all have room

    // Guarded by mutex_.
    mutable mutex mutex_;
    condition_variable room_; ///< full_ is 0, or closed_
    std::vector<broadcast_subscriber*> subscribers_;
    std::size_t lossy_ = 0; ///< of these, those that lose the oldest
    std::size_t full_ = 0;  ///< of the others, those that have no room
    bool closed_ = false;
};

[[noreturn]] COIR_EXPORT void throw_broadcast_error(std::errc error, const char* operation);
[[noreturn]] COIR_EXPORT void throw_no_subscription();

} // namespace coir::detail
