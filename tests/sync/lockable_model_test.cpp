// All mutexes against a model of them.

#include "sync/model_test.hpp"

#include <coir/mutex.hpp>
#include <coir/recursive_mutex.hpp>
#include <coir/shared_mutex.hpp>

#include <deque>
#include <map>
#include <string>
#include <type_traits>

namespace {

using coir::deadline;
using coir::detail::actor;
using coir::detail::experiment;
using coir::detail::fake_driver;

const std::string deadlock = std::make_error_code(std::errc::resource_deadlock_would_occur).message();

/// First come, first served; readers that follow one another are let in together.
class model {
public:
    explicit model(bool recursive) : recursive_(recursive) {}

    [[nodiscard]] bool writes(const actor& one) const { return writer_ == &one; }
    [[nodiscard]] bool reads(const actor& one) const { return readers_.contains(&one); }
    [[nodiscard]] bool is_read() const { return !readers_.empty(); }

    void lock(actor& one, bool shared) {
        if (writer_ == &one && recursive_) {
            ++depth_;
            one.expected = "locked";
        } else if (writer_ == &one) {
            one.expected = deadlock;
        } else {
            waiting_.push_back({&one, shared});
            settle();
        }
    }

    void try_lock(actor& one, bool shared) {
        settle();
        const bool can = shared ? !writer_ && waiting_.empty() : !writer_ && readers_.empty();
        if (can || (writer_ == &one && recursive_))
            lock(one, shared);
        else
            one.expected = "not locked";
    }

    void unlock(actor& one, bool shared) {
        one.expected = "unlocked";
        if (shared) {
            const auto found = readers_.find(&one);
            if (found == readers_.end())
                one.expected = "misuse";
            else if (--found->second == 0)
                readers_.erase(found);
        } else if (writer_ != &one) {
            one.expected = "misuse";
        } else if (--depth_ == 0) {
            writer_ = nullptr;
        }
        settle();
    }

    void give_up(actor& one, const char* why) {
        if (std::erase_if(waiting_, [&one](const request& each) { return each.by == &one; }) > 0)
            one.expected = why;
    }

    void settle() {
        while (!waiting_.empty() && !writer_ && (waiting_.front().shared || readers_.empty())) {
            const auto [by, shared] = waiting_.front();
            waiting_.pop_front();
            by->expected = "locked";
            if (shared) {
                ++readers_[by];
            } else {
                writer_ = by;
                depth_ = 1;
            }
        }
    }

private:
    struct request {
        actor* by;
        bool shared;
    };

    const bool recursive_;
    std::deque<request> waiting_;
    const actor* writer_ = nullptr;
    int depth_ = 0;
    std::map<const actor*, int> readers_; // and how often
};

/// The real one, and the same calls of the model.
template <class Mutex> class subject {
public:
    static constexpr bool can_be_shared = std::is_same_v<Mutex, coir::shared_mutex>;

    explicit subject(experiment& all) : all_(all) {}

    void act(actor& one) {
        const bool holds = expected.writes(one) || expected.reads(one);
        if (holds ? all_.chance(60) : all_.chance(5))
            unlock(one);
        else
            lock(one, can_be_shared && all_.chance(60), all_.chance(25));
    }

    // By the main fiber, in between: when those that have been cancelled, or been handed the mutex, have not run yet.
    void interfere() {
        if (all_.chance(30))
            unlock_what_main_holds();
        if (!expected.writes(main_) && !expected.reads(main_))
            try_lock_here(can_be_shared && all_.chance(60));
    }

    void unlock_what_main_holds() {
        if (expected.writes(main_) || expected.reads(main_))
            unlock_here();
    }

    bool unlock_what_is_held(actor& one) {
        if (!expected.writes(one) && !expected.reads(one))
            return false;
        unlock(one);
        return true;
    }

    model expected{std::is_same_v<Mutex, coir::recursive_mutex>};

private:
    void lock(actor& one, bool shared, bool only_try) {
        all_.tell(
            one, std::string{only_try ? "try_lock" : "lock"} + (shared ? "_shared" : ""),
            [this, shared, only_try](deadline until) -> std::string {
                if (only_try)
                    return try_lock(shared) ? "locked" : "not locked";
                if (until.is_never())
                    shared ? lock_shared() : mutex_.lock();
                else if (!(shared ? try_lock_shared_until(until) : mutex_.try_lock_until(until)))
                    return "timed out";
                return "locked";
            },
            !only_try);
        only_try ? expected.try_lock(one, shared) : expected.lock(one, shared);
    }

    void unlock(actor& one) {
        // Who holds it neither way unlocks in a way that is seen to be wrong.
        const bool shared = expected.reads(one) || (can_be_shared && !expected.writes(one) && !expected.is_read());
        all_.tell(
            one, shared ? "unlock_shared" : "unlock",
            [this, shared](deadline) {
                shared ? unlock_shared() : mutex_.unlock();
                return "unlocked";
            },
            false);
        expected.unlock(one, shared);
    }

    void try_lock_here(bool shared) {
        all_.note(shared ? "  try_lock_shared" : "  try_lock");
        expected.try_lock(main_, shared);
        EXPECT_EQ(try_lock(shared) ? "locked" : "not locked", main_.expected);
    }

    void unlock_here() {
        const bool shared = expected.reads(main_);
        all_.note(shared ? "  unlock_shared" : "  unlock");
        expected.unlock(main_, shared);
        shared ? unlock_shared() : mutex_.unlock();
    }

    bool try_lock(bool shared) {
        if constexpr (can_be_shared)
            if (shared)
                return mutex_.try_lock_shared();
        return mutex_.try_lock();
    }
    void lock_shared() {
        if constexpr (can_be_shared)
            mutex_.lock_shared();
    }
    bool try_lock_shared_until(deadline until) {
        if constexpr (can_be_shared)
            return mutex_.try_lock_shared_until(until);
        return false;
    }
    void unlock_shared() {
        if constexpr (can_be_shared)
            mutex_.unlock_shared();
    }

    Mutex mutex_;
    experiment& all_;
    actor main_{99}; // for the model; lives no life of its own
};

template <class Mutex> class lockable_model : public testing::Test {};
using all_lockables = testing::Types<coir::mutex, coir::recursive_mutex, coir::shared_mutex>;
TYPED_TEST_SUITE(lockable_model, all_lockables, );

TYPED_TEST(lockable_model, random_sequences) {
    coir::detail::for_random_seeds(60, [](fake_driver& driver, unsigned seed) {
        experiment all{driver, seed, 6};
        subject<TypeParam> mutex{all};
        mutex.interfere(); // later it is rarely free, and the main fiber does not wait
        all.play(
            150, mutex.expected, [&] { mutex.interfere(); }, [&](actor& one) { mutex.act(one); });
        mutex.unlock_what_main_holds();
        all.finish(mutex.expected, [&](actor& one) { return mutex.unlock_what_is_held(one); });
    });
}

} // namespace
