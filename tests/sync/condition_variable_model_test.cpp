// A condition variable, and the mutex that goes with it, against a model of both.

#include "sync/model_test.hpp"

#include <coir/condition_variable.hpp>
#include <coir/mutex.hpp>

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <string>
#include <vector>

namespace {

using coir::deadline;
using coir::detail::actor;
using coir::detail::experiment;
using coir::detail::fake_driver;

class model {
public:
    [[nodiscard]] bool holds(const actor& one) const { return holder_ == &one; }

    void lock(actor& one) {
        locking_.push_back({&one, "locked", true});
        settle();
    }

    void unlock(actor& one) {
        one.expected = "unlocked";
        holder_ = nullptr;
        settle();
    }

    void wait(actor& one) {
        waiting_.push_back(&one);
        holder_ = nullptr;
        settle();
    }

    void notify_one() {
        if (!waiting_.empty())
            end_wait(*waiting_.front(), "notified");
    }

    void notify_all() {
        while (!waiting_.empty())
            notify_one();
    }

    void give_up(actor& one, const char* why) {
        if (std::ranges::find(waiting_, &one) != waiting_.end())
            end_wait(one, why);
        else if (std::erase_if(locking_, [&one](const request& each) { return each.by == &one && each.may_end; }) > 0)
            one.expected = why;
    }

    void settle() {
        if (holder_ || locking_.empty())
            return;
        holder_ = locking_.front().by;
        locking_.front().by->expected = locking_.front().how;
        locking_.pop_front();
    }

private:
    struct request {
        actor* by;
        std::string how; // it will have ended
        bool may_end;    // before
    };

    // Whatever has ended it, it must lock the mutex again, and is not interrupted in that.
    void end_wait(actor& one, const char* why) {
        std::erase(waiting_, &one);
        locking_.push_back({&one, why, false});
    }

    const actor* holder_ = nullptr;
    std::deque<request> locking_;
    std::deque<actor*> waiting_;
};

// What actors do with the real ones.
struct subject {
    std::string lock(std::size_t index, deadline until) {
        if (!mutex.try_lock_until(until))
            return "timed out";
        if (in_there++ > 0)
            return "not alone in there";
        held[index] = true;
        return "locked";
    }

    std::string unlock(std::size_t index) {
        --in_there;
        held[index] = false;
        mutex.unlock();
        return "unlocked";
    }

    std::string wait(std::size_t index, deadline until) {
        --in_there;
        std::cv_status end{};
        try {
            end = changed.wait_until(mutex, until);
        } catch (...) {
            EXPECT_TRUE(mutex.is_held());
            EXPECT_EQ(in_there++, 0);
            throw;
        }
        EXPECT_TRUE(mutex.is_held());
        EXPECT_EQ(in_there++, 0);
        EXPECT_TRUE(held[index]);
        return end == std::cv_status::timeout ? "timed out" : "notified";
    }

    coir::mutex mutex;
    coir::condition_variable changed;
    int in_there = 0;
    std::vector<bool> held = std::vector<bool>(8);
};

TEST(condition_variable_model, random_sequences) {
    coir::detail::for_random_seeds(40, [](fake_driver& driver, unsigned seed) {
        experiment all{driver, seed, 8};
        subject real;
        model expected;

        const auto notify = [&] {
            const bool only_one = all.chance(70);
            all.note(only_one ? "  notify_one" : "  notify_all");
            only_one ? real.changed.notify_one() : real.changed.notify_all();
            only_one ? expected.notify_one() : expected.notify_all();
        };
        const auto unlock = [&](actor& one) {
            all.tell(
                one, "unlock", [&real, &one](deadline) { return real.unlock(one.index); }, false);
            expected.unlock(one);
        };
        const auto act = [&](actor& one) {
            if (!expected.holds(one)) {
                all.tell(one, "lock", [&real, &one](deadline until) { return real.lock(one.index, until); });
                expected.lock(one);
            } else if (all.chance(30)) {
                unlock(one);
            } else {
                all.tell(one, "wait", [&real, &one](deadline until) { return real.wait(one.index, until); });
                expected.wait(one);
            }
        };
        all.play(200, expected, notify, act);
        all.finish(expected, [&](actor& one) {
            if (!expected.holds(one))
                return false;
            unlock(one);
            return true;
        });
    });
}

} // namespace
