// select() over channels and an event against a model of it.

#include "sync/model_test.hpp"

#include <coir/channel.hpp>
#include <coir/event.hpp>
#include <coir/select.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace {

using coir::channel;
using coir::deadline;
using coir::detail::actor;
using coir::detail::experiment;
using coir::detail::fake_driver;
using coir::detail::selectable;

using message = std::unique_ptr<int>;

constexpr std::array<std::size_t, 3> capacities{0, 1, 3};

/// One of several things that an actor waits for.
struct choice {
    enum class what : std::uint8_t { send, receive, event };

    actor* by;
    std::size_t index; // among the cases
    what kind;
    std::size_t channel;
    int number; // to send

    [[nodiscard]] std::string ends(const std::string& how) const { return std::to_string(index) + ' ' + how; }
};

class model {
public:
    bool is_set = false;

    void select(actor& one, std::vector<choice> choices) {
        possible_.clear();
        for (const choice& each : choices)
            if (const std::optional<std::string> end = try_now(each))
                possible_.emplace(*end, each);
        if (possible_.empty())
            waiting_.insert(waiting_.end(), choices.begin(), choices.end());
        else
            choosing_ = &one;
    }

    // By one that does not wait: whether it can be done.
    bool try_to(const choice& one) {
        const std::optional<std::string> end = try_now(one);
        if (!end || *end == "closed" || *end == one.ends("closed"))
            return false;
        perform(one);
        return true;
    }

    void set() {
        is_set = true;
        while (const std::optional<choice> waiter = first(choice::what::event, 0))
            end(*waiter, "set");
    }

    void close(std::size_t which) {
        closed_.at(which) = true;
        while (const std::optional<choice> sender = first(choice::what::send, which))
            end_plainly(*sender, "closed");
        while (const std::optional<choice> receiver =
                   first(choice::what::receive, which)) // there is nothing, or it would not wait
            end(*receiver, "closed");
    }

    void give_up(actor& one, const char* why) {
        if (leave(one))
            one.expected = why;
    }

    // Any that is possible may have been chosen.
    void settle() {
        if (!choosing_ || choosing_->seen() == "waits")
            return;
        actor& one = *std::exchange(choosing_, nullptr);
        const auto chosen = possible_.find(one.seen());
        one.expected = chosen == possible_.end() ? "one that was possible" : one.seen();
        if (chosen != possible_.end())
            perform(chosen->second);
    }

private:
    using what = choice::what;

    [[nodiscard]] std::optional<choice> first(what kind, std::size_t of) const {
        const auto found =
            std::ranges::find_if(waiting_, [&](const choice& each) { return each.kind == kind && each.channel == of; });
        return found == waiting_.end() ? std::nullopt : std::optional{*found};
    }

    // How it ends if it need not wait. Who asks does not wait, so does not meet itself.
    [[nodiscard]] std::optional<std::string> try_now(const choice& one) const {
        const std::deque<int>& buffer = buffers_.at(one.channel);
        const bool is_closed = closed_.at(one.channel);
        if (one.kind == what::event)
            return is_set ? std::optional{one.ends("set")} : std::nullopt;
        if (one.kind == what::send) {
            if (is_closed)
                return "closed";
            const bool can = first(what::receive, one.channel) || buffer.size() < capacities.at(one.channel);
            return can ? std::optional{one.ends("sent")} : std::nullopt;
        }
        if (!buffer.empty())
            return one.ends("got " + std::to_string(buffer.front()));
        if (const std::optional<choice> sender = first(what::send, one.channel))
            return one.ends("got " + std::to_string(sender->number));
        return is_closed ? std::optional{one.ends("closed")} : std::nullopt;
    }

    void perform(const choice& one) {
        if (one.kind == what::event || (one.kind == what::send && closed_.at(one.channel)))
            return;
        std::deque<int>& buffer = buffers_.at(one.channel);
        if (one.kind == what::send) {
            if (const std::optional<choice> receiver = first(what::receive, one.channel))
                end(*receiver, "got " + std::to_string(one.number));
            else
                buffer.push_back(one.number);
            return;
        }
        if (!buffer.empty())
            buffer.pop_front();
        if (const std::optional<choice> sender = first(what::send, one.channel)) {
            if (capacities.at(one.channel) > 0)
                buffer.push_back(sender->number);
            end(*sender, "sent");
        }
    }

    // The others of the same actor leave no trace.
    void end(const choice& one, const std::string& how) { end_plainly(one, one.ends(how)); }
    void end_plainly(const choice& one, const std::string& how) {
        actor& by = *one.by;
        leave(by);
        by.expected = how;
    }

    bool leave(const actor& one) {
        return std::erase_if(waiting_, [&one](const choice& each) { return each.by == &one; }) > 0;
    }

    std::array<std::deque<int>, capacities.size()> buffers_;
    std::array<bool, capacities.size()> closed_{};
    std::deque<choice> waiting_;
    actor* choosing_ = nullptr;
    std::map<std::string, choice> possible_; // by how they end
};

// The real ones.
struct subject {
    std::array<channel<message>, capacities.size()> channels{
        channel<message>{capacities[0]}, channel<message>{capacities[1]}, channel<message>{capacities[2]}};
    coir::event event;

    bool try_to(const choice& one) {
        channel<message>& which = channels.at(one.channel);
        if (one.kind == choice::what::receive)
            return which.try_receive().has_value();
        return which.try_send(std::make_unique<int>(one.number));
    }

    std::string select(const std::vector<choice>& choices, deadline until) {
        std::vector<message> messages(choices.size());
        std::vector<std::optional<message>> received(choices.size());
        std::vector<std::unique_ptr<selectable>> cases;
        for (const choice& each : choices) {
            if (each.kind == choice::what::event) {
                cases.push_back(std::unique_ptr<selectable>{new auto(coir::is_set(event))});
                continue;
            }
            channel<message>& which = channels.at(each.channel);
            if (each.kind == choice::what::receive) {
                cases.push_back(std::make_unique<coir::detail::receive_case<message>>(which, received[each.index]));
            } else {
                messages[each.index] = std::make_unique<int>(each.number);
                cases.push_back(std::make_unique<coir::detail::send_case<message>>(which, messages[each.index]));
            }
        }
        if (!until.is_never())
            cases.push_back(std::make_unique<coir::detail::timeout_case>(until));
        std::vector<selectable*> pointers;
        for (const auto& each : cases)
            pointers.push_back(each.get());

        std::size_t chosen = choices.size();
        struct check_losers { // whatever it throws
            ~check_losers() {
                for (const choice& each : choices)
                    if (each.index != chosen) {
                        EXPECT_EQ(messages[each.index] != nullptr, each.kind == choice::what::send);
                        EXPECT_FALSE(received[each.index]);
                    }
            }
            const std::vector<choice>& choices;
            const std::vector<message>& messages;
            const std::vector<std::optional<message>>& received;
            const std::size_t& chosen;
        } const check{choices, messages, received, chosen};
        chosen = coir::detail::select_among(pointers, true);
        if (chosen == choices.size())
            return "timed out";
        const choice& one = choices[chosen];
        if (one.kind == choice::what::event)
            return one.ends("set");
        if (one.kind == choice::what::send)
            return messages[chosen] ? "has not sent" : one.ends("sent");
        return one.ends(received[chosen] ? "got " + std::to_string(**received[chosen]) : "closed");
    }
};

std::vector<choice> choose(experiment& all, actor& one, int number) {
    std::vector<choice> choices;
    if (all.chance(20))
        choices.push_back({&one, choices.size(), choice::what::event, 0, 0});
    for (std::size_t i = 0; i < capacities.size(); ++i) {
        if (all.chance(35))
            choices.push_back({&one, choices.size(), choice::what::receive, i, 0});
        if (all.chance(35))
            choices.push_back({&one, choices.size(), choice::what::send, i, number * 10 + static_cast<int>(i)});
    }
    if (choices.empty())
        choices.push_back({&one, 0, choice::what::receive, 0, 0});
    return choices;
}

TEST(select_model, random_sequences) {
    coir::detail::for_random_seeds(60, [](fake_driver& driver, unsigned seed) {
        experiment all{driver, seed, 8};
        subject real;
        model expected;
        int told = 0;
        const auto interfere = [&] {
            const std::size_t which = all.below(capacities.size());
            if (told > 120 && all.chance(5)) {
                all.note("  close " + std::to_string(which));
                real.channels.at(which).close();
                expected.close(which);
            } else if (all.chance(50)) { // when those that have been cancelled have not run yet
                const choice one{nullptr, 0, all.chance(50) ? choice::what::send : choice::what::receive, which,
                                 -++told};
                all.note((one.kind == choice::what::send ? "  try_send " : "  try_receive ") + std::to_string(which));
                EXPECT_EQ(real.try_to(one), expected.try_to(one));
            } else if (all.chance(40)) {
                all.note("  set");
                real.event.set();
                expected.set();
            } else {
                all.note("  reset");
                real.event.reset();
                expected.is_set = false;
            }
        };
        const auto act = [&](actor& one) {
            const std::vector<choice> choices = choose(all, one, ++told);
            std::string what = "select";
            for (const choice& each : choices)
                what += std::array{" send ", " receive ", " event "}.at(static_cast<std::size_t>(each.kind)) +
                        std::to_string(each.channel);
            all.tell(one, what, [&real, choices](deadline until) { return real.select(choices, until); });
            expected.select(one, choices);
        };
        all.play(250, expected, interfere, act);
        all.finish(expected);
    });
}

} // namespace
