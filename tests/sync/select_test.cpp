#include "sched/fake_driver.hpp"

#include <coir/cancelled.hpp>
#include <coir/channel.hpp>
#include <coir/event.hpp>
#include <coir/fiber.hpp>
#include <coir/select.hpp>
#include <coir/this_fiber.hpp>

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <utility>
#include <vector>

namespace {

using coir::after;
using coir::cancelled;
using coir::channel;
using coir::deadline;
using coir::ended;
using coir::fiber;
using coir::is_set;
using coir::receive_from;
using coir::send_to;
using coir::spawn;
using coir::try_select;
using coir::detail::fake_driver;
using coir::detail::run_on;
namespace this_fiber = coir::this_fiber;
using namespace std::chrono_literals;

class select : public testing::Test {
protected:
    fake_driver driver;
    std::optional<int> first;
    std::optional<int> second;
};

TEST_F(select, does_what_is_possible_at_once) {
    run_on(driver, [this] {
        channel<int> empty{1};
        channel<int> full{1};
        full.send(6);
        EXPECT_EQ(coir::select(receive_from(empty, first), receive_from(full, second)), 1U);
        EXPECT_EQ(first, std::nullopt);
        EXPECT_EQ(second, 6);
        int message = 7;
        EXPECT_EQ(coir::select(receive_from(full, second), send_to(empty, message), after(1s)), 1U);
        EXPECT_EQ(second, std::nullopt);
        EXPECT_EQ(empty.receive(), 7);
    });
    EXPECT_EQ(driver.elapsed(), 0s);
}

TEST_F(select, waits_for_the_first) {
    run_on(driver, [this] {
        channel<int> one;
        channel<int> two;
        coir::event happened;
        fiber<void> sender = spawn([&] { two.send(6); });
        EXPECT_EQ(coir::select(receive_from(one, first), receive_from(two, second), is_set(happened)), 1U);
        EXPECT_EQ(second, 6);
        sender.join();
        fiber<void> setter = spawn([&] { happened.set(); });
        EXPECT_EQ(coir::select(receive_from(one, first), receive_from(two, second), is_set(happened)), 2U);
        int message = 7;
        fiber<std::optional<int>> receiver = spawn([&] { return one.receive(); });
        EXPECT_EQ(coir::select(send_to(one, message), receive_from(two, second)), 0U);
        EXPECT_EQ(receiver.join(), 7);
    });
}

TEST_F(select, the_earliest_timeout_counts_and_what_has_come_is_preferred) {
    run_on(driver, [this] {
        channel<int> numbers{1};
        EXPECT_EQ(coir::select(receive_from(numbers, first), after(2s), after(1s)), 2U);
        EXPECT_EQ(driver.elapsed(), 1s);
        EXPECT_EQ(coir::select(receive_from(numbers, first), after(deadline::passed())), 1U);
        numbers.send(6);
        EXPECT_EQ(coir::select(after(deadline::passed()), receive_from(numbers, first)), 1U);
    });
}

TEST_F(select, try_select_never_waits) {
    run_on(driver, [this] {
        channel<int> numbers;
        EXPECT_EQ(try_select(receive_from(numbers, first)), std::nullopt);
        fiber<void> sender = spawn([&] { numbers.send(6); });
        this_fiber::yield();
        EXPECT_EQ(try_select(receive_from(numbers, first)), 0U);
        EXPECT_EQ(first, 6);
    });
}

TEST_F(select, of_several_each_has_the_same_chance) {
    run_on(driver, [] {
        std::array<coir::event, 4> ready;
        for (coir::event& each : ready)
            each.set();
        std::array<int, 4> chosen{};
        for (int i = 0; i < 4000; ++i)
            ++chosen.at(coir::select(is_set(ready[0]), is_set(ready[1]), is_set(ready[2]), is_set(ready[3])));
        for (const int times : chosen) {
            EXPECT_GT(times, 850); // six standard deviations are 164
            EXPECT_LT(times, 1150);
        }
    });
}

TEST_F(select, losing_cases_leave_no_trace) {
    run_on(driver, [this] {
        channel<int> winner;
        channel<int> loser;
        channel<std::unique_ptr<int>> unsent;
        auto message = std::make_unique<int>(1);
        std::optional<int> lost;
        fiber<std::size_t> selector = spawn([&] {
            return coir::select(receive_from(loser, lost), send_to(unsent, message), receive_from(winner, first));
        });
        this_fiber::yield();
        winner.send(6);
        EXPECT_FALSE(loser.try_send(7));               // before it has run: it will not take two
        EXPECT_EQ(unsent.try_receive(), std::nullopt); // nor send
        EXPECT_EQ(selector.join(), 2U);
        EXPECT_EQ(first, 6);
        EXPECT_EQ(lost, std::nullopt);
        EXPECT_TRUE(message);
        EXPECT_FALSE(loser.try_send(7));
        EXPECT_EQ(unsent.try_receive(), std::nullopt);
    });
}

TEST_F(select, closing_is_an_answer_to_receivers_and_an_error_to_senders) {
    run_on(driver, [this] {
        for (const bool wait : {false, true}) {
            channel<int> ends;
            channel<int> open;
            first = 1;
            fiber<void> closer = spawn([&] { ends.close(); });
            if (!wait)
                this_fiber::yield();
            EXPECT_EQ(coir::select(receive_from(open, second), receive_from(ends, first)), 1U);
            EXPECT_EQ(first, std::nullopt);
        }
        for (const bool wait : {false, true}) {
            channel<std::unique_ptr<int>> ends;
            auto message = std::make_unique<int>(1);
            fiber<void> closer = spawn([&] { ends.close(); });
            if (!wait)
                this_fiber::yield();
            EXPECT_THROW(coir::select(send_to(ends, message), after(1s)), std::system_error);
            EXPECT_TRUE(message);
        }
    });
}

TEST_F(select, the_end_of_a_fiber) {
    run_on(driver, [this] {
        channel<int> numbers;
        fiber<int> slow = spawn([] {
            this_fiber::sleep_for(2s);
            return 1;
        });
        fiber<int> fast = spawn([] {
            this_fiber::sleep_for(1s);
            return 2;
        });
        EXPECT_EQ(coir::select(ended(slow), receive_from(numbers, first), ended(fast)), 2U);
        EXPECT_EQ(driver.elapsed(), 1s);
        EXPECT_EQ(coir::select(ended(slow), ended(fast)), 1U); // at once
        EXPECT_EQ(fast.join(), 2);
        EXPECT_THROW(coir::select(ended(fast), ended(slow)), std::logic_error);
        EXPECT_EQ(coir::select(ended(slow), after(500ms)), 1U);
        EXPECT_EQ(slow.join(), 1); // it has not been waited for any more
        fiber<void> self = spawn([&] { coir::select(ended(self), after(1s)); });
        EXPECT_THROW(self.join(), std::logic_error);
    });
}

TEST_F(select, cancellation_leaves_no_trace) {
    run_on(driver, [this] {
        channel<int> numbers;
        int message = 1;
        channel<int> others;
        fiber<void> selector = spawn([&] { coir::select(receive_from(numbers, first), send_to(others, message)); });
        this_fiber::yield();
        selector.cancel();
        EXPECT_FALSE(numbers.try_send(1));
        EXPECT_THROW(selector.join(), cancelled);
        EXPECT_FALSE(numbers.try_send(1));
        EXPECT_EQ(others.try_receive(), std::nullopt);
    });
}

TEST_F(select, one_that_sends_and_receives_does_not_meet_itself_but_another) {
    run_on(driver, [this] {
        channel<int> numbers;
        int message = 1;
        EXPECT_EQ(coir::select(receive_from(numbers, first), send_to(numbers, message), after(1s)), 2U);
        const auto exchange = [&](int own, std::optional<int>& other) {
            return coir::select(receive_from(numbers, other), send_to(numbers, own), after(1s));
        };
        fiber<std::size_t> one = spawn([&] { return exchange(1, first); });
        fiber<std::size_t> two = spawn([&] { return exchange(2, second); });
        EXPECT_EQ(one.join() + two.join(), 1U);
        EXPECT_NE(first.has_value(), second.has_value());
    });
}

// Hazard G4: what is sent is received, by whomever.
/// Whose first move takes a second and fails.
struct unmoved_at_first {
    unmoved_at_first() = default;
    unmoved_at_first(unmoved_at_first&&) {
        if (std::exchange(fails, false)) {
            this_fiber::sleep_for(1s);
            throw std::runtime_error("not moved");
        }
    }
    static inline bool fails = false;
};

// Else the other receiver would go on waiting for what is there.
TEST_F(select, called_for_a_message_that_somebody_has_put_back_takes_it) {
    run_on(driver, [] {
        for (int i = 0; i < 20; ++i) {
            channel<unmoved_at_first> messages{1};
            coir::event event;
            messages.send({});
            unmoved_at_first::fails = true;
            fiber<void> failing = spawn([&] {
                EXPECT_THROW((void)messages.receive(), std::runtime_error);
                event.set();
            });
            this_fiber::yield();
            fiber<std::size_t> selecting = spawn([&] {
                std::optional<unmoved_at_first> message;
                return coir::select(receive_from(messages, message), is_set(event));
            });
            this_fiber::yield();
            this_fiber::yield(); // it waits before the other one, also if its slice ends at once
            fiber<void> receiving = spawn([&] { EXPECT_TRUE(messages.receive(1h)); });
            failing.join();
            EXPECT_EQ(selecting.join(), 0U);
            messages.send({});
            receiving.join();
        }
    });
    EXPECT_EQ(driver.elapsed(), 20s);
}

TEST_F(select, does_not_take_a_message_for_sent_that_could_not_be_moved) {
    run_on(driver, [] {
        channel<unmoved_at_first> messages;
        bool sent = false;
        fiber<void> sending = spawn([&] {
            unmoved_at_first message;
            EXPECT_EQ(coir::select(send_to(messages, message), after(1h)), 0U);
            sent = true;
        });
        this_fiber::yield();
        this_fiber::yield();
        unmoved_at_first::fails = true;
        EXPECT_THROW((void)messages.receive(), std::runtime_error);
        this_fiber::sleep_for(1s);
        EXPECT_FALSE(sent);
        EXPECT_TRUE(messages.receive(1s));
        sending.join();
    });
}

/// Is never possible. Something happens while the cases are entered: after select() has looked at them, and before it waits.
class meanwhile final : public coir::detail::selectable {
public:
    explicit meanwhile(std::function<void()> what) : what_(std::move(what)) {}
    bool try_now() override { return false; }
    bool enter() noexcept override {
        what_();
        return true;
    }
    void leave() noexcept override {}
    bool complete(coir::detail::wake_reason /*why*/) override { return false; }

private:
    std::function<void()> what_;
};

// The cases are in any order: so several times.
TEST_F(select, sees_what_becomes_possible_before_it_waits) {
    run_on(driver, [this] {
        for (int i = 0; i < 20; ++i) {
            const auto take = [](channel<int>& from) { (void)from.try_receive(); };
            const auto close = [](channel<int>& which) { which.close(); };
            int message = 1;
            channel<int> full{1};
            EXPECT_TRUE(full.try_send(0));
            EXPECT_EQ(coir::select(send_to(full, message), meanwhile{[&] { take(full); }}, after(1h)), 0U);
            EXPECT_THROW(coir::select(send_to(full, message), meanwhile{[&] { close(full); }}, after(1h)),
                         std::system_error);
            channel<int> empty{1};
            EXPECT_EQ(coir::select(receive_from(empty, first), meanwhile{[&] { (void)empty.try_send(1); }}, after(1h)),
                      0U);
            EXPECT_EQ(first, 1);
            EXPECT_EQ(coir::select(receive_from(empty, first), meanwhile{[&] { close(empty); }}, after(1h)), 0U);
            EXPECT_EQ(first, std::nullopt);
            coir::event happens;
            EXPECT_EQ(coir::select(is_set(happens), meanwhile{[&] { happens.set(); }}, after(1h)), 0U);
        }
        EXPECT_EQ(driver.elapsed(), 0s);
    });
}

TEST_F(select, many_selectors_on_many_channels_lose_nothing) {
    run_on(driver, [] {
        std::array<channel<int>, 8> all;
        long received = 0;
        std::vector<fiber<void>> receivers;
        coir::event done;
        for (std::size_t i = 0; i < 8; ++i)
            receivers.push_back(spawn([&, i] {
                std::optional<int> one;
                std::optional<int> two;
                for (;;)
                    switch (coir::select(receive_from(all.at(i), one), receive_from(all.at((i + 3) % 8), two),
                                         is_set(done), after(1ms))) {
                    case 0:
                        received += *one;
                        break;
                    case 1:
                        received += *two;
                        break;
                    case 2:
                        return;
                    default:
                        break;
                    }
            }));
        long sent = 0;
        std::vector<fiber<void>> senders;
        for (std::size_t i = 0; i < 8; ++i)
            senders.push_back(spawn([&, i] {
                for (int k = 1; k <= 100; ++k) {
                    int left = k;
                    int right = k;
                    if (coir::select(send_to(all.at(i), left), send_to(all.at((i + 1) % 8), right), after(10us)) < 2)
                        sent += k;
                }
            }));
        for (auto& each : senders)
            each.join();
        done.set();
        for (auto& each : receivers)
            each.join();
        EXPECT_EQ(sent, received);
        EXPECT_GT(sent, 0);
    });
}

} // namespace
