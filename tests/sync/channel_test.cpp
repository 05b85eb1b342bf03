#include "child_process.hpp"
#include "sched/fake_driver.hpp"

#include <coir/cancelled.hpp>
#include <coir/channel.hpp>
#include <coir/fiber.hpp>
#include <coir/stack_size.hpp>
#include <coir/this_fiber.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <ranges>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace {

using coir::cancelled;
using coir::channel;
using coir::deadline;
using coir::fiber;
using coir::spawn;
using coir::detail::fake_driver;
using coir::detail::run_on;
namespace this_fiber = coir::this_fiber;
using namespace std::chrono_literals;

static_assert(std::ranges::input_range<channel<int>>);
static_assert(std::ranges::input_range<channel<std::unique_ptr<int>>>);

using channels = coir::detail::with_fake_driver;

/// For what all have in common, whatever their capacity.
class every_channel : public testing::TestWithParam<std::size_t> {
protected:
    fake_driver driver;
};

INSTANTIATE_TEST_SUITE_P(capacities, every_channel, testing::Values(0U, 1U, 3U, channel<int>::unbounded));

TEST_P(every_channel, delivers_all_in_order_to_a_range_that_ends_at_the_close) {
    run_on(driver, [] {
        channel<int> numbers{GetParam()};
        fiber<void> sender = spawn([&] {
            for (int i = 0; i < 20; ++i)
                numbers.send(i);
            numbers.close();
        });
        int expected = 0;
        for (const int each : numbers)
            EXPECT_EQ(each, expected++);
        EXPECT_EQ(expected, 20);
        sender.join();
        EXPECT_EQ(numbers.receive(), std::nullopt);
    });
}

TEST_P(every_channel, delivers_to_those_who_wait_in_their_order) {
    run_on(driver, [] {
        channel<std::string> names{GetParam()};
        std::vector<fiber<std::optional<std::string>>> receivers;
        for (int i = 0; i < 3; ++i)
            receivers.push_back(spawn([&] { return names.receive(); }));
        this_fiber::yield();
        EXPECT_TRUE(names.try_send("a"));
        names.send("b");
        names.close();
        EXPECT_EQ(receivers[0].join(), "a");
        EXPECT_EQ(receivers[1].join(), "b");
        EXPECT_EQ(receivers[2].join(), std::nullopt);
    });
}

TEST_P(every_channel, takes_nothing_after_the_close_and_leaves_the_message_alone) {
    run_on(driver, [] {
        channel<std::unique_ptr<int>> numbers{GetParam()};
        numbers.close();
        numbers.close();
        EXPECT_TRUE(numbers.is_closed());
        auto message = std::make_unique<int>(6);
        EXPECT_FALSE(numbers.try_send(std::move(message)));
        try {
            numbers.send(std::move(message));
            ADD_FAILURE();
        } catch (const std::system_error& error) {
            EXPECT_EQ(error.code(), std::errc::broken_pipe);
        }
        std::error_code error;
        EXPECT_FALSE(numbers.send(std::move(message), error));
        EXPECT_EQ(error, std::errc::broken_pipe);
        ASSERT_TRUE(message);
        EXPECT_EQ(numbers.try_receive(), std::nullopt);
        EXPECT_EQ(numbers.receive(error), std::nullopt);
        EXPECT_FALSE(error);
    });
}

TEST_P(every_channel, a_receiver_who_gives_up_takes_nothing) {
    run_on(driver, [this] {
        channel<int> numbers{GetParam()};
        fiber<std::optional<int>> unlucky = spawn([&] { return numbers.receive(); });
        fiber<std::optional<int>> lucky = spawn([&] { return numbers.receive(); });
        std::error_code error;
        EXPECT_EQ(numbers.receive(error, 1s), std::nullopt);
        EXPECT_EQ(error, std::errc::timed_out);
        EXPECT_EQ(driver.elapsed(), 1s);
        unlucky.cancel();
        EXPECT_TRUE(numbers.try_send(5)); // before the cancelled one has run
        EXPECT_EQ(lucky.join(), 5);
        EXPECT_THROW(unlucky.join(), cancelled);
    });
}

TEST_P(every_channel, a_message_that_has_come_is_delivered_whatever_comes_later) {
    run_on(driver, [this] {
        channel<int> numbers{GetParam()};
        fiber<std::optional<int>> receiver = spawn([&] { return numbers.receive(1s); });
        this_fiber::yield();
        EXPECT_TRUE(numbers.try_send(5));
        numbers.close();
        receiver.cancel();
        driver.advance(2s);
        EXPECT_EQ(receiver.join(), 5);
    });
}

/// Moving it throws as often as one wants.
struct reluctant {
    explicit reluctant(int which) : number(which) {}
    reluctant(reluctant&& other) : number(other.number) {
        if (throws > 0) {
            --throws;
            throw std::runtime_error{"moving"};
        }
        other.number = -1;
    }
    reluctant& operator=(reluctant&&) = delete;
    int number;
    static inline int throws = 0;
};

TEST_P(every_channel, what_could_not_be_moved_stays_where_it_was) {
    run_on(driver, [] {
        channel<reluctant> items{GetParam()};
        // To a receiver that waits.
        fiber<int> receiver = spawn([&] { return items.receive()->number; });
        this_fiber::yield();
        reluctant item{1};
        reluctant::throws = 1;
        EXPECT_THROW(items.send(std::move(item)), std::runtime_error);
        EXPECT_EQ(item.number, 1);
        items.send(std::move(item));
        EXPECT_EQ(receiver.join(), 1);
        // From one that waits, or from the buffer.
        fiber<void> sender = spawn([&] { items.send(reluctant{2}); });
        this_fiber::yield();
        reluctant::throws = 1;
        EXPECT_THROW((void)items.receive(), std::runtime_error);
        EXPECT_EQ(items.receive()->number, 2);
        sender.join();
        EXPECT_EQ(items.try_receive().has_value(), false);
    });
}

TEST_F(channels, without_a_buffer_send_waits_for_a_receiver) {
    run_on(driver, [] {
        channel<int> numbers;
        EXPECT_FALSE(numbers.try_send(1));
        bool sent = false;
        fiber<void> sender = spawn([&] {
            numbers.send(2);
            sent = true;
        });
        this_fiber::yield();
        EXPECT_FALSE(sent);
        EXPECT_EQ(numbers.size(), 0U);
        EXPECT_EQ(numbers.try_receive(), 2);
        sender.join();
    });
}

TEST_F(channels, with_a_buffer_send_waits_only_when_it_is_full) {
    run_on(driver, [] {
        channel<int> numbers{2};
        EXPECT_EQ(numbers.capacity(), 2U);
        numbers.send(1);
        numbers.send(2);
        EXPECT_EQ(numbers.size(), 2U);
        EXPECT_FALSE(numbers.try_send(3));
        fiber<void> sender = spawn([&] { numbers.send(3); });
        this_fiber::yield();
        EXPECT_EQ(numbers.receive(), 1); // the waiting one's message follows at once
        EXPECT_EQ(numbers.size(), 2U);
        EXPECT_FALSE(numbers.try_send(4));
        sender.join();
        numbers.close();
        EXPECT_EQ(numbers.receive(), 2);
        EXPECT_EQ(numbers.receive(), 3);
        EXPECT_EQ(numbers.receive(), std::nullopt);
    });
}

TEST_F(channels, unbounded_send_never_waits) {
    channel<int> numbers{channel<int>::unbounded};
    for (int i = 0; i < 10'000; ++i)
        EXPECT_TRUE(numbers.try_send(i));
    numbers.close();
    int expected = 0;
    for (const int each : numbers)
        EXPECT_EQ(each, expected++);
    EXPECT_EQ(expected, 10'000);
}

// All ways in which a send() fails.
TEST_F(channels, a_sender_who_gives_up_keeps_its_message) {
    run_on(driver, [] {
        for (const std::size_t capacity : {0U, 1U}) {
            channel<std::unique_ptr<int>> numbers{capacity};
            if (capacity > 0)
                numbers.send(std::make_unique<int>(0));
            auto late = std::make_unique<int>(1);
            std::error_code error;
            EXPECT_FALSE(numbers.send(std::move(late), error, 1s));
            EXPECT_EQ(error, std::errc::timed_out);
            EXPECT_TRUE(late);
            EXPECT_THROW(numbers.send(std::move(late), 1s), std::system_error);
            EXPECT_TRUE(late);

            auto first = std::make_unique<int>(2);
            auto second = std::make_unique<int>(3);
            fiber<void> unlucky = spawn([&] { numbers.send(std::move(first)); });
            fiber<bool> shut_out = spawn([&] {
                std::error_code why;
                return numbers.send(std::move(second), why) || why != std::errc::broken_pipe;
            });
            this_fiber::yield();
            unlucky.cancel();
            EXPECT_THROW(unlucky.join(), cancelled);
            EXPECT_TRUE(first);
            numbers.close();
            EXPECT_FALSE(shut_out.join());
            EXPECT_TRUE(second);
            EXPECT_EQ(numbers.receive().has_value(), capacity > 0);
            EXPECT_EQ(numbers.receive(), std::nullopt);
        }
    });
}

TEST_F(channels, messages_left_are_destroyed_with_it) {
    auto item = std::make_shared<int>(1);
    {
        channel<std::shared_ptr<int>> items{3};
        EXPECT_TRUE(items.try_send(item));
        EXPECT_TRUE(items.try_send(item));
        EXPECT_EQ(item.use_count(), 3);
    }
    EXPECT_EQ(item.use_count(), 1);
}

TEST_F(channels, over_aligned_elements) {
    struct alignas(64) wide {
        int number;
    };
    channel<wide> items{1};
    EXPECT_TRUE(items.try_send(wide{6}));
    EXPECT_EQ(items.try_receive()->number, 6);
}

TEST_F(channels, destroying_one_for_which_somebody_waits_ends_the_program_by_name) {
    const child_end end = in_child([this] {
        run_on(driver, [] {
            auto numbers = std::make_unique<channel<int>>();
            const fiber<void> waiter = spawn({.name = "forgotten"}, [&] { (void)numbers->receive(); });
            this_fiber::yield();
            numbers.reset();
        });
        return true;
    });
    EXPECT_TRUE(end.was_killed_by(SIGABRT));
    EXPECT_TRUE(end.says("forgotten")) << end.errors;
}

// While one moves its element, which takes its time, any number of senders and receivers come to wait; who has done then serves them
// all, in a loop, on a small stack.
TEST_F(channels, a_slow_move_serves_all_who_have_come_meanwhile) {
    struct slow {
        explicit slow(int n) : number(n) {}
        slow(slow&& other) : number(other.number) {
            if (number == 0)
                this_fiber::sleep_for(1s);
        }
        slow& operator=(slow&&) = delete;
        int number;
    };
#if defined(COIR_TSAN)
    constexpr int count = 100; // each is a thread to ThreadSanitizer
#else
    constexpr int count = 2'000;
#endif
    run_on(driver, [] {
        channel<slow> narrow{1};
        std::vector<int> got;
        auto first = spawn({.stack_size = coir::minimum_stack_size}, [&] { narrow.send(slow{0}); });
        this_fiber::yield(); // it sleeps with the only place
        std::vector<fiber<void>> all;
        for (int i = 1; i <= count; ++i)
            all.push_back(spawn([&, i] { narrow.send(slow{i}); }));
        for (int i = 0; i <= count; ++i)
            all.push_back(spawn([&] { got.push_back(narrow.receive()->number); }));
        first.join();
        for (auto& each : all)
            each.join();
        ASSERT_EQ(got.size(), count + 1U);
        for (int i = 0; i <= count; ++i)
            EXPECT_EQ(got[static_cast<std::size_t>(i)], i);
    });
}

/// Whose next move does something before: takes its time, throws.
struct eventful {
    explicit eventful(int n) : number(n) {}
    eventful(eventful&& other) : number(other.number) {
        if (const auto what = std::exchange(at_next_move, nullptr))
            what();
    }
    eventful& operator=(eventful&&) = delete;
    ~eventful() = default;
    int number;
    static inline std::function<void()> at_next_move;
};

void sleep_a_second() {
    this_fiber::sleep_for(1s);
}

void sleep_and_fail() {
    sleep_a_second();
    throw std::runtime_error("moving");
}

/// The next message, or 0 at the end.
int next_of(channel<eventful>& messages) {
    const std::optional<eventful> next = messages.receive();
    return next ? next->number : 0;
}

TEST_F(channels, a_message_whose_receiver_fails_is_the_first_again) {
    run_on(driver, [] {
        for (const bool is_alone : {false, true}) {
            channel<eventful> messages{3};
            messages.send(eventful{1});
            messages.send(eventful{2});
            eventful::at_next_move = sleep_and_fail;
            fiber<int> fails = spawn([&] { return next_of(messages); });
            this_fiber::yield();
            if (is_alone) { // the other has gone when it comes back
                EXPECT_EQ(next_of(messages), 2);
            }
            EXPECT_THROW(fails.join(), std::runtime_error);
            messages.send(eventful{3});
            EXPECT_EQ(next_of(messages), 1);
            EXPECT_EQ(next_of(messages), is_alone ? 3 : 2);
        }
    });
}

// The sender moves it on behalf of a receiver, who then tries again.
TEST_F(channels, a_message_that_cannot_be_moved_to_who_waits_is_the_first_again) {
    run_on(driver, [] {
        channel<eventful> messages{3};
        eventful first{1};
        fiber<void> sender = spawn([&] {
            eventful::at_next_move = [] {
                sleep_a_second();
                eventful::at_next_move = sleep_and_fail; // into the receiver
            };
            messages.send(std::move(first));
        });
        fiber<int> receiver = spawn([&] { return next_of(messages); });
        this_fiber::sleep_for(1500ms);
        messages.send(eventful{2});
        sender.join();
        EXPECT_EQ(receiver.join(), 1);
        EXPECT_EQ(next_of(messages), 2);
        messages.close();
        EXPECT_EQ(next_of(messages), 0);
    });
}

TEST_F(channels, closed_while_a_message_is_on_its_way_end_when_it_has_come) {
    run_on(driver, [this] {
        channel<eventful> messages{1};
        fiber<void> sender = spawn([&] {
            eventful message{1};
            eventful::at_next_move = sleep_a_second;
            messages.send(std::move(message));
        });
        fiber<int> first = spawn([&] { return next_of(messages); });
        fiber<int> second = spawn([&] { return next_of(messages); });
        this_fiber::yield();
        messages.close();
        EXPECT_EQ(first.join(), 1);
        EXPECT_EQ(second.join(), 0);
        EXPECT_EQ(driver.elapsed(), 1s);
    });
}

// Who has it might fail, and leave it to the others.
TEST_F(channels, closed_while_the_last_message_is_being_taken_end_when_it_has_gone) {
    run_on(driver, [this] {
        channel<eventful> messages{1};
        messages.send(eventful{1});
        eventful::at_next_move = sleep_a_second;
        fiber<int> first = spawn([&] { return next_of(messages); });
        this_fiber::yield();
        messages.close();
        EXPECT_EQ(next_of(messages), 0);
        EXPECT_EQ(driver.elapsed(), 1s);
        EXPECT_EQ(first.join(), 1);
    });
}

// What it was told while it moved for another is not its own: it has swallowed nothing.
TEST_F(channels, cancelled_while_moving_on_behalf_of_another_is_told_later) {
    const child_end end = in_child([this] {
        run_on(driver, [] {
            channel<eventful> messages{1};
            fiber<void> sender = spawn([&] {
                eventful message{1};
                eventful::at_next_move = [] {
                    sleep_a_second();
                    eventful::at_next_move = [] { this_fiber::sleep_for(1h); };
                };
                messages.send(std::move(message));
                EXPECT_THROW(sleep_a_second(), cancelled);
            });
            fiber<int> receiver = spawn([&] { return next_of(messages); });
            this_fiber::sleep_for(2s);
            sender.cancel();
            sender.join();
            EXPECT_EQ(receiver.join(), 1);

            messages.send(eventful{2});
            eventful waits{3};
            fiber<void> behind = spawn([&] { messages.send(std::move(waits)); });
            fiber<void> taker = spawn([&] {
                this_fiber::yield();
                eventful::at_next_move = [] {
                    eventful::at_next_move = [] { this_fiber::sleep_for(1h); }; // out of the one that waits
                };
                EXPECT_EQ(next_of(messages), 2);
                EXPECT_THROW(sleep_a_second(), cancelled);
            });
            this_fiber::sleep_for(1s);
            taker.cancel();
            taker.join();
            behind.join();
            EXPECT_EQ(next_of(messages), 3);
        });
        return !testing::Test::HasFailure();
    });
    EXPECT_TRUE(end.exited_well()) << end.errors;
    EXPECT_EQ(end.errors, "");
}

} // namespace
