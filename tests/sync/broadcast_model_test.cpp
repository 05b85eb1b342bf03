// A broadcast against a model of it.

#include "sync/model_test.hpp"

#include <coir/broadcast.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace {

using coir::broadcast;
using coir::deadline;
using coir::slow_subscriber;
using coir::detail::actor;
using coir::detail::experiment;
using coir::detail::fake_driver;

constexpr std::size_t places = 4; // for subscribers

// Not within the model: in there clang 14 does not find it default constructible.
struct subscriber {
    slow_subscriber rule{};
    std::deque<int> values;
    std::uint64_t missed = 0;
    std::deque<actor*> receivers;
    bool has_turn = false; // the first of them, and waits for a value
};

class model {
public:
    explicit model(std::size_t capacity) : capacity_(capacity) {}

    void subscribe(std::size_t place, slow_subscriber rule) { subscribers[place].emplace().rule = rule; }

    void unsubscribe(std::size_t place) {
        subscribers[place].reset();
        may_go_on_ = may_go_on_ || (has_turn_ && !has_full());
    }

    void send(actor& one, int value) {
        senders_.push_back({&one, value});
        settle();
    }

    void receive(actor& one, std::size_t place) {
        subscribers[place]->receivers.push_back(&one);
        serve_receivers(*subscribers[place]);
        settle();
    }

    void close() {
        closed_ = true;
        may_go_on_ = has_turn_;
        for (auto& each : subscribers)
            if (each && each->has_turn)
                end_receive(*each, "closed"); // also if it is cancelled before it runs
    }

    void give_up(actor& one, const char* why) {
        const bool has_turn = has_turn_ && senders_.front().by == &one;
        if (has_turn && may_go_on_)
            return;
        std::size_t gone = std::erase_if(senders_, [&one](const sender& each) { return each.by == &one; });
        has_turn_ = has_turn_ && !has_turn;
        for (auto& each : subscribers) {
            if (!each || each->receivers.empty())
                continue;
            each->has_turn = each->has_turn && each->receivers.front() != &one;
            gone += std::erase(each->receivers, &one);
        }
        if (gone > 0)
            one.expected = why;
    }

    void settle() {
        while (!senders_.empty() && (closed_ || !has_full())) {
            const sender first = senders_.front();
            senders_.pop_front();
            first.by->expected = closed_ ? "closed" : "sent";
            for (auto& each : subscribers)
                if (each && !closed_)
                    push(*each, first.value);
        }
        has_turn_ = !senders_.empty();
        may_go_on_ = false;
        for (auto& each : subscribers)
            if (each) {
                serve_receivers(*each);
                each->has_turn = !each->receivers.empty();
            }
    }

    // Somebody will, as soon as it runs. Who sends then, too, may be so fast that a value is lost meanwhile.
    [[nodiscard]] bool is_sending() const noexcept { return may_go_on_; }

    std::array<std::optional<subscriber>, places> subscribers;

private:
    struct sender {
        actor* by;
        int value;
    };

    [[nodiscard]] bool has_full() const {
        return std::ranges::any_of(subscribers, [this](const auto& each) {
            return each && each->rule == slow_subscriber::is_waited_for && each->values.size() == capacity_;
        });
    }

    void push(subscriber& to, int value) {
        if (to.values.size() == capacity_) {
            to.values.pop_front();
            ++to.missed;
        }
        to.values.push_back(value);
        serve_receivers(to);
    }

    void serve_receivers(subscriber& from) {
        while (!from.receivers.empty() && (closed_ || !from.values.empty())) {
            end_receive(from, from.values.empty() ? "closed" : std::to_string(from.values.front()));
            if (!from.values.empty())
                from.values.pop_front();
        }
    }

    static void end_receive(subscriber& from, const std::string& how) {
        from.receivers.front()->expected = how;
        from.receivers.pop_front();
        from.has_turn = false;
    }

    const std::size_t capacity_;
    std::deque<sender> senders_;
    bool has_turn_ = false;  // the first of them, and waits for room
    bool may_go_on_ = false; // it has been told so, and cannot give up any more
    bool closed_ = false;
};

// The real one, and the same calls of the model.
class subject {
public:
    subject(experiment& all, std::size_t capacity) : expected(capacity), all_(all), real_(capacity) {}

    // Comes and goes; or, in the end, closes.
    void interfere(bool may_close) {
        const std::size_t place = all_.below(places);
        if (may_close && all_.chance(3)) {
            all_.note("  close");
            real_.close();
            expected.close();
        } else if (!subscriptions_[place]) {
            const auto rule = all_.chance(30) ? slow_subscriber::loses_oldest : slow_subscriber::is_waited_for;
            all_.note("  subscribe " + std::to_string(place));
            subscriptions_[place] = real_.subscribe(rule);
            expected.subscribe(place, rule);
        } else if (all_.chance(15) && receiving_[place] == 0) {
            all_.note("  unsubscribe " + std::to_string(place));
            subscriptions_[place].reset();
            expected.unsubscribe(place);
        }
    }

    void act(actor& one) {
        const std::size_t place = all_.below(places);
        if (may_receive(place) && all_.chance(60)) {
            all_.tell(one, "receive " + std::to_string(place), [this, place](deadline until) -> std::string {
                const in_use here{receiving_[place]};
                const auto value = subscriptions_[place]->receive_shared(until);
                return value ? std::to_string(**value) : "closed";
            });
            expected.receive(one, place);
        } else if (!expected.is_sending()) {
            const int number = ++last_;
            all_.tell(one, "send " + std::to_string(number), [this, number](deadline until) {
                auto value = std::make_unique<int>(number);
                try {
                    real_.send(std::move(value), until);
                } catch (...) {
                    EXPECT_TRUE(value) << "a value is lost";
                    throw;
                }
                return "sent";
            });
            expected.send(one, number);
        }
    }

    model expected;

    // When nobody is on the way.
    void check_sizes() const {
        for (std::size_t i = 0; i < places; ++i)
            if (subscriptions_[i]) {
                EXPECT_EQ(subscriptions_[i]->size(), expected.subscribers[i]->values.size());
                EXPECT_EQ(subscriptions_[i]->missed(), expected.subscribers[i]->missed);
            }
    }

private:
    // Where values may be lost, how many are depends on who is faster: a sender that has been woken, or the next receiver.
    [[nodiscard]] bool may_receive(std::size_t place) const {
        const auto& model = expected.subscribers[place];
        return model &&
               (model->rule == slow_subscriber::is_waited_for || (receiving_[place] == 0 && !expected.is_sending()));
    }

    class in_use {
    public:
        explicit in_use(int& count) : count_(++count) {}
        in_use(const in_use&) = delete;
        in_use& operator=(const in_use&) = delete;
        ~in_use() { --count_; }

    private:
        int& count_;
    };

    experiment& all_;
    broadcast<std::unique_ptr<int>> real_;
    std::array<std::optional<broadcast<std::unique_ptr<int>>::subscription>, places> subscriptions_;
    std::array<int, places> receiving_{}; // how many
    int last_ = 0;
};

class broadcast_model : public testing::TestWithParam<std::size_t> {};
INSTANTIATE_TEST_SUITE_P(capacities, broadcast_model, testing::Values(1U, 2U, 5U));

TEST_P(broadcast_model, random_sequences) {
    coir::detail::for_random_seeds(30, [](fake_driver& driver, unsigned seed) {
        experiment all{driver, seed, 8};
        subject quotes{all, GetParam()};
        int interfered = 0;
        all.play(
            200, quotes.expected, [&] { quotes.interfere(++interfered > 40); }, [&](actor& one) { quotes.act(one); });
        all.finish(quotes.expected);
        quotes.check_sizes();
    });
}

} // namespace
