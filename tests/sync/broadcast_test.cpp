#include "sched/fake_driver.hpp"

#include <coir/broadcast.hpp>
#include <coir/cancelled.hpp>
#include <coir/fiber.hpp>
#include <coir/latch.hpp>
#include <coir/run.hpp>
#include <coir/this_fiber.hpp>

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace {

using coir::fiber;
using coir::slow_subscriber;
using coir::spawn;
using coir::detail::fake_driver;
using coir::detail::run_on;
namespace this_fiber = coir::this_fiber;
using namespace std::chrono_literals;

using broadcast = coir::detail::with_fake_driver;

template <class Function> void expect_error(std::errc expected, Function function) {
    try {
        function();
        ADD_FAILURE() << "did not throw";
    } catch (const std::system_error& error) {
        EXPECT_EQ(error.code(), expected);
    }
}

TEST_F(broadcast, gives_what_is_there_without_waiting) {
    run_on(driver, [this] {
        coir::broadcast<int> numbers{2};
        auto mine = numbers.subscribe();
        EXPECT_EQ(mine.try_receive(), std::nullopt);
        numbers.send(1);
        numbers.send(2);
        fiber<void> sender = spawn([&] { numbers.send(3); }); // waits for room
        this_fiber::yield();
        EXPECT_EQ(mine.try_receive(), 1);
        sender.join();
        numbers.close();
        EXPECT_EQ(mine.try_receive(), 2);
        EXPECT_EQ(mine.try_receive(), 3);
        EXPECT_EQ(mine.try_receive(), std::nullopt);
        EXPECT_EQ(driver.elapsed(), 0s);
    });
}

TEST_F(broadcast, leaves_what_comes_to_who_waits_for_it) {
    run_on(driver, [] {
        coir::broadcast<int> numbers{2};
        auto shared = numbers.subscribe();
        fiber<std::optional<int>> waiting = spawn([&] { return shared.receive(); });
        this_fiber::yield();
        numbers.send(1);
        EXPECT_EQ(shared.try_receive(), std::nullopt);
        EXPECT_EQ(waiting.join(), 1);
    });
}

TEST_F(broadcast, has_no_subscription_in_what_has_been_moved_from) {
    run_on(driver, [] {
        coir::broadcast<int> numbers{2};
        auto first = numbers.subscribe();
        auto second = std::move(first);
        numbers.send(1);
        EXPECT_THROW((void)first.receive(), std::logic_error); // NOLINT(bugprone-use-after-move)
        EXPECT_THROW((void)first.receive_shared(), std::logic_error);
        EXPECT_THROW((void)first.try_receive(), std::logic_error);
        EXPECT_THROW((void)first.begin(), std::logic_error);
        EXPECT_EQ(first.size(), 0u);
        EXPECT_EQ(first.missed(), 0u);
        EXPECT_EQ(second.receive(), 1);
    });
}

TEST_F(broadcast, brings_every_value_to_every_subscriber_from_then_on) {
    run_on(driver, [] {
        coir::broadcast<std::string> news{4};
        news.send("nobody listens");
        auto early = news.subscribe();
        news.send("one");
        auto late = news.subscribe();
        EXPECT_EQ(news.subscribers(), 2u);
        news.send("two");
        fiber<std::string> reader = spawn([&] {
            std::string all;
            for (const std::string& each : early)
                all += each + ' ';
            return all;
        });
        this_fiber::yield();
        news.send("three");
        news.close();
        EXPECT_EQ(reader.join(), "one two three ");
        EXPECT_EQ(late.size(), 2u);
        EXPECT_EQ(late.receive(), "two");
        EXPECT_EQ(late.receive(), "three");
        EXPECT_EQ(late.receive(), std::nullopt);
        expect_error(std::errc::broken_pipe, [&] { news.send("too late"); });
    });
}

TEST_F(broadcast, waits_for_a_slow_subscriber_and_sends_in_order) {
    run_on(driver, [] {
        coir::broadcast<int> numbers{1};
        auto slow = numbers.subscribe();
        auto fast = numbers.subscribe();
        numbers.send(1);
        EXPECT_EQ(fast.receive(), 1);
        fiber<void> second = spawn([&] { numbers.send(2); });
        fiber<void> third = spawn([&] { numbers.send(3); });
        this_fiber::yield();
        EXPECT_TRUE(fast.empty());
        for (int i = 1; i <= 3; ++i) {
            EXPECT_EQ(slow.receive(1s), i);
            if (i > 1) {
                EXPECT_EQ(fast.receive(1s), i);
            }
        }
        second.join();
        third.join();
        EXPECT_EQ(slow.missed(), 0u);

        numbers.send(4);
        fiber<void> fifth = spawn([&] { numbers.send(5); });
        EXPECT_EQ(fast.receive(), 4);
        this_fiber::yield();
        { const auto gone = std::move(slow); } // who holds up the others leaves
        EXPECT_EQ(fast.receive(1s), 5);
        fifth.join();
    });
    EXPECT_EQ(driver.elapsed(), 0s);
}

TEST_F(broadcast, may_lose_the_oldest_instead) {
    run_on(driver, [] {
        coir::broadcast<int> numbers{2};
        auto last_two = numbers.subscribe(slow_subscriber::loses_oldest);
        for (int i = 0; i < 5; ++i)
            numbers.send(i);
        EXPECT_EQ(last_two.missed(), 3u);
        EXPECT_EQ(last_two.receive(), 3);
        EXPECT_EQ(last_two.receive(), 4);
    });
}

TEST_F(broadcast, serves_those_who_share_a_subscription_in_turn) {
    run_on(driver, [] {
        coir::broadcast<int> news{4};
        auto shared = news.subscribe();
        std::string log;
        const auto receive = [&](char name) {
            return spawn([&, name] { log += name + std::to_string(shared.receive().value_or(0)) + ' '; });
        };
        fiber<void> first = receive('a');
        this_fiber::yield();
        fiber<void> sender = spawn([&] { news.send(1); });
        fiber<void> newcomer = receive('b'); // runs before the first, which has been woken
        fiber<void> last = receive('c');
        this_fiber::yield();
        news.send(2);
        news.send(3);
        first.join();
        newcomer.join();
        last.join();
        EXPECT_EQ(log, "a1 b2 c3 ");
    });
}

TEST_F(broadcast, that_gives_up_has_reached_nobody_and_loses_nothing) {
    run_on(driver, [] {
        coir::broadcast<std::unique_ptr<int>> boxes{1}; // not copied
        auto slow = boxes.subscribe();
        auto fast = boxes.subscribe();
        boxes.send(std::make_unique<int>(1));
        EXPECT_EQ(*fast.receive_shared()->get(), 1);
        auto kept = std::make_unique<int>(2);
        expect_error(std::errc::timed_out, [&] { boxes.send(std::move(kept), 1s); });
        EXPECT_EQ(*kept, 2); // NOLINT(bugprone-use-after-move)
        expect_error(std::errc::timed_out, [&] { static_cast<void>(fast.receive_shared(1s)); });

        fiber<void> sender = spawn([&] { boxes.send(std::move(kept)); });
        fiber<void> receiver = spawn([&] { static_cast<void>(fast.receive_shared()); });
        this_fiber::yield();
        sender.cancel();
        receiver.cancel();
        EXPECT_THROW(sender.join(), coir::cancelled);
        EXPECT_THROW(receiver.join(), coir::cancelled);
        EXPECT_EQ(*kept, 2);
        EXPECT_EQ(*slow.receive_shared()->get(), 1);
        boxes.send(std::move(kept)); // and nobody is in the way
        EXPECT_EQ(fast.size(), 1u);
    });
    EXPECT_EQ(driver.elapsed(), 2s);
}

TEST_F(broadcast, closes_for_those_who_wait_and_when_it_is_destroyed) {
    EXPECT_THROW(coir::broadcast<int>{0}, std::invalid_argument);
    run_on(driver, [] {
        auto numbers = std::make_unique<coir::broadcast<int>>(1);
        auto slow = numbers->subscribe();
        auto idle = numbers->subscribe(slow_subscriber::loses_oldest);
        numbers->send(1);
        fiber<void> sender = spawn([&] { expect_error(std::errc::broken_pipe, [&] { numbers->send(2); }); });
        EXPECT_EQ(idle.receive(), 1);
        fiber<void> receiver = spawn([&] { EXPECT_EQ(idle.receive(), std::nullopt); });
        this_fiber::yield();
        numbers->close();
        EXPECT_TRUE(numbers->is_closed());
        sender.join();
        receiver.join();
        numbers.reset();
        EXPECT_EQ(slow.receive(), 1);
        EXPECT_EQ(slow.receive(), std::nullopt);
    });
}

// A value's destructor may use the broadcast: it does not run under a lock.
TEST_F(broadcast, destroys_values_in_the_open) {
    struct looks {
        explicit looks(coir::broadcast<looks>& at) : at(&at) {}
        looks(looks&& other) noexcept : at(std::exchange(other.at, nullptr)) {}
        looks& operator=(looks&& other) noexcept {
            std::swap(at, other.at);
            return *this;
        }
        ~looks() {
            if (at) {
                EXPECT_FALSE(at->is_closed());
            }
        }
        coir::broadcast<looks>* at;
    };
    run_on(driver, [] {
        coir::broadcast<looks> values{1};
        auto lossy = values.subscribe(slow_subscriber::loses_oldest);
        auto other = values.subscribe();
        values.send(looks{values});
        static_cast<void>(other.receive_shared());
        values.send(looks{values}); // drops the first
        { const auto gone = std::move(lossy); }
        { const auto gone = std::move(other); } // with the second
    });
}

TEST_F(broadcast, keeps_no_value_for_a_reader_that_waits_for_the_next) {
    run_on(driver, [] {
        coir::broadcast<std::shared_ptr<int>> values{1};
        auto subscription = values.subscribe();
        const auto value = std::make_shared<int>(1);
        values.send(value);
        const fiber<void> reader = spawn([&] {
            for (const auto& each : subscription)
                EXPECT_EQ(each, value);
        });
        this_fiber::sleep_for(1s);
        EXPECT_EQ(value.use_count(), 1);
        values.close();
    });
}

TEST(broadcast_across_threads, brings_all_to_loops_and_threads) {
    constexpr int count = 1000;
    coir::broadcast<int> numbers{8};
    std::array<long, 3> sums{};
    auto sum_up = [](coir::broadcast<int>::subscription& from, long& sum) {
        for (const int each : from)
            sum += each;
    };
    auto first = numbers.subscribe();
    auto second = numbers.subscribe();
    auto third = numbers.subscribe();
    std::thread with_a_loop{[&] { coir::run([&] { sum_up(first, sums[0]); }); }};
    std::thread without{[&] { sum_up(second, sums[1]); }};
    coir::run([&] {
        fiber<void> here = spawn([&] { sum_up(third, sums[2]); });
        coir::latch sent{2};
        auto send_all = [&] {
            for (int i = 0; i < count; ++i)
                numbers.send(i);
            sent.count_down();
        };
        std::thread another_sender{send_all};
        send_all();
        sent.wait();
        numbers.close();
        here.join();
        another_sender.join();
    });
    with_a_loop.join();
    without.join();
    constexpr long expected = long{count} * (count - 1);
    EXPECT_EQ(sums, (std::array<long, 3>{expected, expected, expected}));
}

} // namespace
