// A channel against a model of it.

#include "sync/model_test.hpp"

#include <coir/channel.hpp>

#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

namespace {

using coir::channel;
using coir::deadline;
using coir::detail::actor;
using coir::detail::experiment;
using coir::detail::fake_driver;

using message = std::unique_ptr<int>;

class model {
public:
    explicit model(std::size_t capacity) : capacity_(capacity) {}

    void send(actor& one, int number, bool may_wait) {
        if (closed_) {
            one.expected = "closed";
        } else if (const std::optional<request> receiver = first(false)) {
            receiver->by->expected = "got " + std::to_string(number);
            one.expected = "sent";
        } else if (buffer_.size() < capacity_) {
            buffer_.push_back(number);
            one.expected = "sent";
        } else if (may_wait) {
            waiting_.push_back({&one, number});
        } else {
            one.expected = "not sent";
        }
    }

    void receive(actor& one, bool may_wait) {
        const std::optional<request> sender = buffer_.empty() && capacity_ > 0 ? std::nullopt : first(true);
        if (sender) {
            sender->by->expected = "sent";
            buffer_.push_back(*sender->number);
        }
        if (!buffer_.empty()) {
            one.expected = "got " + std::to_string(buffer_.front());
            buffer_.pop_front();
        } else if (closed_ && may_wait) {
            one.expected = "closed";
        } else if (may_wait) {
            waiting_.push_back({&one, std::nullopt});
        } else {
            one.expected = "got nothing";
        }
    }

    void close() {
        closed_ = true;
        for (const request& each : waiting_) // receivers among them would have nothing to wait for
            each.by->expected = "closed";
        waiting_.clear();
    }

    void give_up(actor& one, const char* why) {
        if (std::erase_if(waiting_, [&one](const request& each) { return each.by == &one; }) > 0)
            one.expected = why;
    }

    void settle() {}

    [[nodiscard]] std::size_t size() const noexcept { return buffer_.size(); }

private:
    struct request {
        actor* by;
        std::optional<int> number; // of a sender
    };

    // Those who wait are all senders, or all receivers.
    std::optional<request> first(bool sender) {
        if (waiting_.empty() || waiting_.front().number.has_value() != sender)
            return std::nullopt;
        const request one = waiting_.front();
        waiting_.pop_front();
        return one;
    }

    const std::size_t capacity_;
    std::deque<int> buffer_;
    std::deque<request> waiting_;
    bool closed_ = false;
};

std::string name_of(const std::error_code& error) {
    return error == std::errc::broken_pipe ? "closed" : error == std::errc::timed_out ? "timed out" : "cancelled";
}

std::string send(channel<message>& to, int number, deadline until) {
    std::error_code error;
    auto one = std::make_unique<int>(number);
    const bool sent = to.send(std::move(one), error, until);
    EXPECT_NE(sent, one != nullptr) << "a message is lost, or sent and kept";
    return sent ? "sent" : name_of(error);
}

std::string try_send(channel<message>& to, int number) {
    auto one = std::make_unique<int>(number);
    const bool sent = to.try_send(std::move(one));
    EXPECT_NE(sent, one != nullptr) << "a message is lost, or sent and kept";
    return sent ? "sent" : to.is_closed() ? "closed" : "not sent";
}

std::string receive(channel<message>& from, deadline until) {
    std::error_code error;
    const std::optional<message> one = from.receive(error, until);
    return one ? "got " + std::to_string(**one) : error ? name_of(error) : "closed";
}

std::string try_receive(channel<message>& from) {
    const std::optional<message> one = from.try_receive();
    return one ? "got " + std::to_string(**one) : "got nothing";
}

class channel_model : public testing::TestWithParam<std::size_t> {};
INSTANTIATE_TEST_SUITE_P(capacities, channel_model, testing::Values(0U, 1U, 3U, channel<int>::unbounded));

TEST_P(channel_model, random_sequences) {
    coir::detail::for_random_seeds(40, [](fake_driver& driver, unsigned seed) {
        experiment all{driver, seed, 10};
        channel<message> real{GetParam()};
        model expected{GetParam()};
        int told = 0;
        const auto close = [&] {
            if (told < 120 || !all.chance(5))
                return;
            all.note("  close");
            real.close();
            expected.close();
        };
        const auto act = [&](actor& one) {
            EXPECT_EQ(real.size(), expected.size());
            const bool may_wait = all.chance(75);
            const std::string how = may_wait ? "" : "try_";
            if (all.chance(50)) {
                const int number = ++told;
                all.tell(
                    one, how + "send " + std::to_string(number),
                    [&real, number, may_wait](deadline until) {
                        return may_wait ? send(real, number, until) : try_send(real, number);
                    },
                    may_wait);
                expected.send(one, number, may_wait);
            } else {
                all.tell(
                    one, how + "receive",
                    [&real, may_wait](deadline until) { return may_wait ? receive(real, until) : try_receive(real); },
                    may_wait);
                expected.receive(one, may_wait);
            }
        };
        all.play(200, expected, close, act);
        all.finish(expected);
    });
}

} // namespace
