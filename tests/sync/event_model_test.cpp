// Events against a model of them.

#include "sync/model_test.hpp"

#include <coir/event.hpp>

#include <string>
#include <vector>

namespace {

using coir::deadline;
using coir::detail::actor;
using coir::detail::experiment;
using coir::detail::fake_driver;

struct model {
    void wait(actor& one) {
        if (is_set)
            one.expected = "set";
        else
            waiting.push_back(&one);
    }

    void set() {
        is_set = true;
        for (actor* each : waiting) // also when it is reset before they run
            each->expected = "set";
        waiting.clear();
    }

    void give_up(actor& one, const char* why) {
        if (std::erase(waiting, &one) > 0)
            one.expected = why;
    }

    void settle() {}

    bool is_set = false;
    std::vector<actor*> waiting;
};

TEST(event_model, random_sequences) {
    coir::detail::for_random_seeds(30, [](fake_driver& driver, unsigned seed) {
        experiment all{driver, seed, 6};
        coir::event event;
        model expected;
        const auto set_or_reset = [&] {
            const bool sets = all.chance(40);
            all.note(sets ? "  set" : "  reset");
            if (sets) {
                event.set();
                expected.set();
            } else {
                event.reset();
                expected.is_set = false;
            }
            EXPECT_EQ(event.is_set(), expected.is_set);
        };
        const auto wait = [&](actor& one) {
            all.tell(one, "wait", [&event](deadline until) { return event.wait(until) ? "set" : "timed out"; });
            expected.wait(one);
        };
        all.play(150, expected, set_or_reset, wait);
        all.finish(expected);
    });
}

} // namespace
