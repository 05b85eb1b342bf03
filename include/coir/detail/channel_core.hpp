#pragma once

#include <coir/deadline.hpp>
#include <coir/detail/waiter_queue.hpp>
#include <coir/export.hpp>

#include <cstddef>
#include <memory>
#include <new>
#include <optional>
#include <type_traits>
#include <utility>

namespace coir::detail {

class claimed_waiters;

/// The operations of a channel on its elements, whose type only the channel knows. Moving runs user code, which may throw, and
/// even suspend; so it never happens under a lock.
struct element_operations {
    std::size_t size;
    std::size_t alignment;
    /// Moves `*element` into raw memory.
    void (*store)(void* memory, void* element);
    /// Moves `*element` into a std::optional, which is empty.
    void (*take)(void* optional, void* element);
    void (*destroy)(void* element) noexcept;
    /// None of these runs user code, or takes long.
    bool is_quiet;
};

/// What is copied under a spin lock.
inline constexpr std::size_t most_quiet_bytes = 256;

template <class T>
inline constexpr element_operations operations_of{
    sizeof(T),
    alignof(T),
    [](void* memory, void* element) { ::new (memory) T(std::move(*static_cast<T*>(element))); },
    [](void* optional, void* element) {
        static_cast<std::optional<T>*>(optional)->emplace(std::move(*static_cast<T*>(element)));
    },
    [](void* element) noexcept { std::destroy_at(static_cast<T*>(element)); },
    std::is_trivially_move_constructible_v<T>&& std::is_trivially_destructible_v<T> && sizeof(T) <= most_quiet_bytes};

enum class channel_status : unsigned char {
    done,        ///< the element has been moved
    would_block, ///< full, or empty
    closed       ///< closed; for a receiver: and nothing is left
};

/// A channel without the type of its elements: lib/sync/channel_core.cpp explains how it works.
class COIR_EXPORT channel_core {
public:
    static constexpr std::size_t unbounded = static_cast<std::size_t>(-1);

    channel_core(const element_operations& operations, std::size_t capacity);
    ~channel_core();
    channel_core(const channel_core&) = delete;
    channel_core& operator=(const channel_core&) = delete;

    /// Without waiting. `element` is moved from if done. Throws what moving throws: then nothing has happened.
    channel_status try_send(void* element);
    /// Without waiting. `optional`, an empty std::optional<T>, has a value if done.
    channel_status try_receive(void* optional);

    /// Handles most calls on a buffered channel, and no others: nobody waits, no user code runs, and only this thread has used
    /// the channel so far. False: nothing has happened, and the calls below must find out what can be done.
    [[nodiscard]] bool send_at_once(void* element) noexcept;
    [[nodiscard]] bool receive_at_once(void* optional) noexcept;

    /// As try_send() and try_receive(), or waits with `record`, whose value is the element, or the optional; the switch is
    /// the last thing it does. Then, if the wait was not plainly notified, end_wait() must be called.
    void send_or_park(shared_wait& record, deadline until);
    void receive_or_park(shared_wait& record, deadline until);
    /// Returns who ended the wait; afterwards the record is in no list.
    wake_reason end_wait(shared_wait& record) noexcept;

    /// For select(): puts `record` among the waiters; false if it need not wait.
    [[nodiscard]] bool enter_sender(select_case& record) noexcept;
    [[nodiscard]] bool enter_receiver(select_case& record) noexcept;
    void leave(wait_record& record) noexcept;

    void close() noexcept;
    [[nodiscard]] bool is_closed() const noexcept;
    /// Elements that have been sent and not been received.
    [[nodiscard]] std::size_t size() const noexcept;
    [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }

private:
    struct node;
    class held;

    // `record`, if any, is among those who wait, in the case of would_block.
    [[gnu::visibility("hidden")]] channel_status send(void* element, shared_wait* record);
    [[gnu::visibility("hidden")]] channel_status receive(void* optional, shared_wait* record);
    // With the lock held: moves quietly into or out of the buffer, if nothing else is to be done for it.
    [[gnu::visibility("hidden")]] bool put_quietly(void* element) noexcept;
    [[gnu::visibility("hidden")]] bool take_quietly(void* optional) noexcept;
    // With the lock held at the beginning, and free at the end. `done`.
    channel_status hand_over(spin_lock::hold how, wait_record& receiver, void* element);
    channel_status send_buffered(spin_lock::hold how, void* element);
    channel_status receive_buffered(spin_lock::hold how, void* optional);
    channel_status receive_from(spin_lock::hold how, wait_record& sender, void* optional);
    // With the lock held at the beginning, and free at the end.
    void give_up(node* unused, held& lock) noexcept;
    void put_back(node& full, held& lock) noexcept;
    void settle(node& at, bool is_full, held& lock) noexcept;
    // With the lock held at the beginning and the end.
    bool empty_into_receiver(node& full, bool& is_full, claimed_waiters& served, held& lock) noexcept;
    bool fill_from_sender(node& unused, bool& is_full, claimed_waiters& served, held& lock) noexcept;
    void push_back(node& full) noexcept;
    void push_front(node& full) noexcept;

    [[nodiscard]] bool has_ended() const noexcept { return closed_ && full_ == 0 && being_sent_ == 0; }
    [[nodiscard]] bool has_room() const noexcept { return nodes_in_use_ < capacity_ && senders_.waiters.empty(); }
    [[nodiscard]] void* element_of(node& of) const noexcept;
    [[nodiscard]] node* new_node() const;
    void delete_node(node* unused) const noexcept;

    const element_operations& operations_;
    const std::size_t capacity_;
    const std::size_t offset_; ///< of the element in a node

    // Guarded by senders_.lock.
    mutable waiter_queue senders_;          ///< wait until there is room, or, without buffer, for a receiver
    intrusive_list<wait_record> receivers_; ///< wait until something is there
    node* full_front_ = nullptr;            ///< the buffer: first in, first out
    node* full_back_ = nullptr;
    std::size_t full_ = 0;         ///< length of the buffer
    node* unused_ = nullptr;       ///< a stack of nodes
    std::size_t nodes_in_use_ = 0; ///< full, or being moved into or out of
    std::size_t being_sent_ = 0;   ///< of these, those that will be full, or received at once
    bool closed_ = false;
};

} // namespace coir::detail
