// A channel against a model of it: of messages whose moving is a user's code, and of plain ones, which take other ways through it.

#include "sync/model_test.hpp"

#include <coir/channel.hpp>

#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>

namespace {

using coir::channel;
using coir::deadline;
using coir::detail::actor;
using coir::detail::experiment;
using coir::detail::fake_driver;

using owner = std::unique_ptr<int>;

template <class Message> Message make_message(int number) {
    if constexpr (std::is_same_v<Message, int>)
        return number;
    else
        return std::make_unique<int>(number);
}

int number_of(int message) {
    return message;
}
int number_of(const owner& message) {
    return *message;
}

// A plain message does not tell.
void expect_moved(int /*message*/, bool /*sent*/) {}
void expect_moved(const owner& message, bool sent) {
    EXPECT_NE(sent, message != nullptr) << "a message is lost, or sent and kept";
}

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

template <class Message> std::string send(channel<Message>& to, int number, deadline until) {
    std::error_code error;
    auto one = make_message<Message>(number);
    const bool sent = to.send(std::move(one), error, until);
    expect_moved(one, sent);
    return sent ? "sent" : name_of(error);
}

template <class Message> std::string try_send(channel<Message>& to, int number) {
    auto one = make_message<Message>(number);
    const bool sent = to.try_send(std::move(one));
    expect_moved(one, sent);
    return sent ? "sent" : to.is_closed() ? "closed" : "not sent";
}

template <class Message> std::string receive(channel<Message>& from, deadline until) {
    std::error_code error;
    const std::optional<Message> one = from.receive(error, until);
    return one ? "got " + std::to_string(number_of(*one)) : error ? name_of(error) : "closed";
}

template <class Message> std::string try_receive(channel<Message>& from) {
    const std::optional<Message> one = from.try_receive();
    return one ? "got " + std::to_string(number_of(*one)) : "got nothing";
}

template <class Message> void check_random_sequences(std::size_t capacity) {
    int closed = 0;
    coir::detail::for_random_seeds(40, [&closed, capacity](fake_driver& driver, unsigned seed) {
        experiment all{driver, seed, 10};
        channel<Message> real{capacity};
        model expected{capacity};
        int told = 0;
        int interfered = 0;
        const auto close = [&] {
            if (++interfered < 30 || (interfered > 30 && !all.chance(5)))
                return;
            all.note("  close");
            ++closed;
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
    EXPECT_GT(closed, 0);
}

class channel_model : public testing::TestWithParam<std::size_t> {};
INSTANTIATE_TEST_SUITE_P(capacities, channel_model, testing::Values(0U, 1U, 3U, channel<int>::unbounded));

TEST_P(channel_model, random_sequences) {
    check_random_sequences<owner>(GetParam());
}

TEST_P(channel_model, random_sequences_of_plain_messages) {
    check_random_sequences<int>(GetParam());
}

} // namespace
