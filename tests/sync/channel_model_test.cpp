// A channel against a model of it: what happens in a random sequence of operations is what happens in a few lines of
// sequential code.

#include "sched/fake_driver.hpp"

#include <coir/cancelled.hpp>
#include <coir/channel.hpp>
#include <coir/fiber.hpp>
#include <coir/this_fiber.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <system_error>
#include <vector>

namespace {

using coir::channel;
using coir::deadline;
using coir::fiber;
using coir::spawn;
using coir::detail::fake_driver;
using coir::detail::run_on;
namespace this_fiber = coir::this_fiber;
using namespace std::chrono_literals;

/// A send or a receive, and what has become of it so far: "waits", "sent", "got 7", "closed", "timed out", "cancelled".
struct operation {
    bool sends;
    int number;
    int expires; // at that step; 0: never
    std::string state = "waits";
};

class model {
public:
    explicit model(std::size_t capacity) : capacity_(capacity) {}

    void start(operation& one) {
        if (closed_ && (one.sends || buffer_.empty()))
            one.state = "closed";
        else if (one.sends)
            send(one);
        else
            receive(one);
    }

    void give_up(operation& one, const char* why) {
        if (one.state != "waits")
            return;
        one.state = why;
        std::erase(waiting_, &one);
    }

    void close() {
        closed_ = true;
        for (operation* each : waiting_) // receivers among them would have nothing to wait for
            each->state = "closed";
        waiting_.clear();
    }

private:
    // Those who wait are all senders, or all receivers.
    operation* first(bool sender) {
        if (waiting_.empty() || waiting_.front()->sends != sender)
            return nullptr;
        operation* one = waiting_.front();
        waiting_.pop_front();
        return one;
    }

    void send(operation& one) {
        if (operation* receiver = first(false))
            receiver->state = "got " + std::to_string(one.number);
        else if (buffer_.size() < capacity_)
            buffer_.push_back(one.number);
        else
            return waiting_.push_back(&one);
        one.state = "sent";
    }

    void receive(operation& one) {
        operation* sender = buffer_.empty() && capacity_ > 0 ? nullptr : first(true);
        if (sender) {
            sender->state = "sent";
            buffer_.push_back(sender->number);
        }
        if (buffer_.empty())
            return waiting_.push_back(&one);
        one.state = "got " + std::to_string(buffer_.front());
        buffer_.pop_front();
    }

    std::size_t capacity_;
    std::deque<int> buffer_;
    std::deque<operation*> waiting_;
    bool closed_ = false;
};

std::string name_of(const std::error_code& error) {
    return error == std::errc::broken_pipe ? "closed" : error == std::errc::timed_out ? "timed out" : "cancelled";
}

// What a fiber does of which `one` is the model.
std::string perform(channel<std::unique_ptr<int>>& real, operation one, deadline until) {
    std::error_code error;
    if (one.sends) {
        auto message = std::make_unique<int>(one.number);
        const bool sent = real.send(std::move(message), error, until);
        EXPECT_NE(sent, message != nullptr) << "a message is lost, or sent and kept";
        return sent ? "sent" : name_of(error);
    }
    const std::optional<std::unique_ptr<int>> message = real.receive(error, until);
    return message ? "got " + std::to_string(**message) : error ? name_of(error) : "closed";
}

class channel_model : public testing::TestWithParam<std::size_t> {
protected:
    void check(unsigned seed);

    fake_driver driver;
};

INSTANTIATE_TEST_SUITE_P(capacities, channel_model, testing::Values(0U, 1U, 3U, channel<int>::unbounded));

void channel_model::check(unsigned seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::minstd_rand random{seed};
    model expected{GetParam()};
    channel<std::unique_ptr<int>> real{GetParam()};
    std::deque<operation> operations;
    std::vector<std::string> seen(200, "waits");
    std::vector<fiber<void>> fibers;
    for (int step = 1; step < 200 && !HasFailure(); ++step) {
        const auto what = random() % 100;
        if (what < 80) {
            const int patience = random() % 3 == 0 ? 1 + static_cast<int>(random() % 8) : 0;
            operation& one = operations.emplace_back(operation{what < 40, step, patience == 0 ? 0 : step + patience});
            fibers.push_back(spawn([&, one, patience, at = fibers.size()] {
                // Between two steps: so it is clear which of several things comes first.
                seen[at] = perform(real, one, patience == 0 ? deadline{} : deadline{patience * 1ms - 1us});
            }));
            expected.start(one);
        } else if (what < 99 && !fibers.empty()) {
            const std::size_t which = random() % fibers.size();
            fibers[which].cancel();
            expected.give_up(operations[which], "cancelled");
        } else if (what == 99 && step > 100) {
            real.close();
            expected.close();
        }
        this_fiber::sleep_for(1ms); // until all others wait
        for (operation& each : operations)
            if (each.expires == step + 1)
                expected.give_up(each, "timed out");
        for (std::size_t i = 0; i < fibers.size(); ++i)
            ASSERT_EQ(seen[i], operations[i].state)
                << (operations[i].sends ? "send " : "receive ") << i << " after step " << step;
    }
    real.close();
    for (auto& each : fibers)
        each.wait();
}

TEST_P(channel_model, random_sequences) {
    for (unsigned seed = 1; seed <= 30 && !HasFailure(); ++seed)
        run_on(driver, [this, seed] { check(seed); });
}

} // namespace
