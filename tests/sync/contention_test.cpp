// Four loops in four threads, and a thread without a loop, use the same thing, with deadlines and cancellation at random
// moments: nothing is lost, nothing is had twice.

#include "sync/contention.hpp"

#include <coir/channel.hpp>
#include <coir/condition_variable.hpp>
#include <coir/fiber.hpp>
#include <coir/mutex.hpp>
#include <coir/run.hpp>
#include <coir/select.hpp>
#include <coir/semaphore.hpp>

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

namespace {

using coir::channel;
using coir::deadline;
using coir::fiber;
using coir::spawn;
using contention::everywhere;
using contention::place;
using contention::places;
using contention::stress;
using namespace std::chrono_literals;

constexpr int turns = 60;

TEST(contention, a_mutex_is_held_by_one) {
    stress([] {
        coir::mutex mutex;
        int counter = 0; // plain: ThreadSanitizer says if it is not guarded
        std::atomic<int> locked{0};
        std::atomic<int> inside{0};
        everywhere([&](place& here) {
            for (int i = 0; i < turns; ++i)
                if (here.attempt([&](deadline until) { return mutex.try_lock_until(until); })) {
                    EXPECT_EQ(++inside, 1);
                    ++counter;
                    ++locked;
                    here.pause();
                    --inside;
                    mutex.unlock();
                }
        });
        EXPECT_EQ(counter, locked);
        EXPECT_TRUE(mutex.try_lock()); // nobody who gave up holds it
        mutex.unlock();
    });
}

TEST(contention, a_semaphore_loses_no_permit) {
    stress([] {
        constexpr int permits = 3;
        coir::counting_semaphore semaphore{permits};
        std::atomic<int> in_use{0};
        everywhere([&](place& here) {
            for (int i = 0; i < turns; ++i)
                if (here.attempt([&](deadline until) { return semaphore.try_acquire_until(until); })) {
                    EXPECT_LE(++in_use, permits);
                    here.pause();
                    --in_use;
                    semaphore.release();
                }
        });
        int left = 0;
        while (semaphore.try_acquire())
            ++left;
        EXPECT_EQ(left, permits);
    });
}

/// Every number is sent once, or not at all, and received as often.
class account {
public:
    static constexpr int numbers = places * turns;

    void sent(int number) { ++sent_.at(static_cast<std::size_t>(number)); }
    void received(int number) { ++received_.at(static_cast<std::size_t>(number)); }

    /// Every other place sends; the thread without a loop does, or does not.
    explicit account(bool thread_sends)
        : senders_left_(places / 2 + (thread_sends ? 1 : 0)), thread_sends_(thread_sends) {}
    [[nodiscard]] bool sends(const place& here) const { return (here.index % 2 == (places - 1) % 2) == thread_sends_; }
    [[nodiscard]] bool was_last_sender() { return --senders_left_ == 0; }

    void check() const {
        int total = 0;
        for (std::size_t i = 0; i < numbers; ++i) {
            EXPECT_EQ(sent_.at(i), received_.at(i)) << "number " << i;
            total += sent_.at(i);
        }
        EXPECT_GT(total, 0);
    }

private:
    std::array<std::atomic<int>, numbers> sent_{};
    std::array<std::atomic<int>, numbers> received_{};
    std::atomic<int> senders_left_;
    const bool thread_sends_;
};

TEST(contention, a_channel_delivers_each_message_once_or_gives_it_back) {
    for (const std::size_t capacity : {std::size_t{0}, std::size_t{2}})
        stress([capacity, thread_sends = false]() mutable {
            channel<std::unique_ptr<int>> numbers{capacity};
            account all{thread_sends = !thread_sends};
            const auto send = [&](place& here) {
                for (int i = 0; i < turns; ++i) {
                    auto message = std::make_unique<int>(here.index * turns + i);
                    std::error_code error;
                    const bool sent =
                        here.attempt([&](deadline until) { return numbers.send(std::move(message), error, until); });
                    EXPECT_EQ(sent, !message);
                    if (sent)
                        all.sent(here.index * turns + i);
                }
                if (all.was_last_sender())
                    numbers.close();
            };
            const auto receive = [&](place& here) {
                for (bool closed = false; !closed;)
                    here.attempt([&](deadline until) {
                        std::error_code error;
                        const auto message = numbers.receive(error, until);
                        if (message)
                            all.received(**message);
                        closed = !message && !error;
                        return true;
                    });
            };
            everywhere([&](place& here) { all.sends(here) ? send(here) : receive(here); });
            all.check();
        });
}

TEST(contention, a_condition_variable_loses_no_notification) {
    stress([thread_sends = false]() mutable {
        coir::mutex mutex;
        coir::condition_variable has_number;
        coir::condition_variable has_room;
        std::optional<int> slot;
        bool closed = false;
        account all{thread_sends = !thread_sends};
        const auto send = [&](place& here) {
            for (int i = 0; i < turns; ++i)
                here.attempt([&](deadline until) {
                    std::unique_lock lock{mutex};
                    if (!has_room.wait_until(lock, until, [&] { return !slot; }))
                        return false;
                    slot = here.index * turns + i;
                    all.sent(*slot);
                    has_number.notify_one();
                    return true;
                });
            if (all.was_last_sender()) {
                const std::lock_guard lock{mutex};
                closed = true;
                has_number.notify_all();
            }
        };
        const auto receive = [&](place& here) {
            for (bool ended = false; !ended;)
                here.attempt([&](deadline) { // without one: only a notification, or cancellation, ends the wait
                    std::unique_lock lock{mutex};
                    has_number.wait(lock, [&] { return slot || closed; });
                    ended = !slot;
                    if (slot)
                        all.received(*std::exchange(slot, std::nullopt));
                    has_room.notify_one();
                    return true;
                });
        };
        everywhere([&](place& here) { all.sends(here) ? send(here) : receive(here); });
        all.check();
    });
}

template <std::size_t... Index>
std::size_t select_among_all(std::array<channel<int>, sizeof...(Index)>& from, std::optional<int>& into, deadline until,
                             std::index_sequence<Index...>) {
    std::array<std::optional<int>, sizeof...(Index)> each;
    const std::size_t chosen = coir::select(coir::receive_from(from[Index], each[Index])..., coir::after(until));
    for (const auto& one : each)
        if (one) {
            EXPECT_FALSE(into) << "two were chosen";
            EXPECT_EQ(&one - each.data(), chosen);
            into = one;
        }
    return chosen;
}

// Hazard G4.
TEST(contention, select_over_64_channels_takes_each_message_once_and_leaves_no_trace) {
    stress([thread_sends = true]() mutable {
        constexpr std::size_t count = 64;
        std::array<channel<int>, count> all_channels;
        account all{thread_sends = !thread_sends};
        std::atomic<bool> ended{false};
        const auto send = [&](place& here) {
            for (int i = 0; i < turns; ++i) {
                int number = here.index * turns + i;
                channel<int>& to = all_channels.at(here.below(count));
                const bool sent = here.attempt(
                    [&](deadline until) { return coir::select(coir::send_to(to, number), coir::after(until)) == 0; });
                if (sent)
                    all.sent(number);
            }
            if (all.was_last_sender())
                ended = true;
        };
        const auto receive = [&](place& here) {
            while (!ended)
                here.attempt([&](deadline) {
                    std::optional<int> number;
                    select_among_all(all_channels, number, 1ms, std::make_index_sequence<count>{});
                    if (number)
                        all.received(*number);
                    return true;
                });
        };
        everywhere([&](place& here) { all.sends(here) ? send(here) : receive(here); });
        all.check();
        for (auto& each : all_channels) {
            EXPECT_FALSE(
                each.try_send(0)); // nobody waits to receive; their destructors would say if there is a record left
            EXPECT_FALSE(each.try_receive());
        }
    });
}

// Hazard G1: two take the mutex from one another at the very moment when it is free. Who is woken to compete may come too late,
// but not again and again. That it would without hand-over only hand_over_test.cpp shows.
TEST(contention, greedy_threads_do_not_starve_the_others) {
    constexpr int most = 200;
    coir::mutex mutex;
    std::atomic<int> taken{0}; // by the greedy ones
    std::atomic<int> waiters{3};
    const auto wait_for_it = [&] {
        for (int i = 0; i < 3; ++i) {
            const int before = taken;
            const std::lock_guard hold{mutex};
            EXPECT_LE(taken - before, most);
        }
        --waiters;
    };
    const auto take_it = [&] {
        while (waiters > 0)
            if (mutex.try_lock()) {
                ++taken;
                std::this_thread::sleep_for(200us); // so that others are in the queue again
                mutex.unlock();
            }
    };
    std::thread greedy{take_it};
    std::thread as_greedy{take_it};
    while (taken == 0)
        std::this_thread::yield();
    std::thread loop{[&] {
        coir::run([&] {
            fiber<void> one = spawn(wait_for_it);
            fiber<void> two = spawn(wait_for_it);
            one.join();
            two.join();
        });
    }};
    wait_for_it();
    loop.join();
    greedy.join();
    as_greedy.join();
}

} // namespace
