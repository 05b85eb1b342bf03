// Semaphores against a model of them.

#include "sync/model_test.hpp"

#include <coir/semaphore.hpp>

#include <cstddef>
#include <deque>
#include <stdexcept>
#include <string>

namespace {

using coir::deadline;
using coir::detail::actor;
using coir::detail::experiment;
using coir::detail::fake_driver;

class model {
public:
    model(std::ptrdiff_t permits, std::ptrdiff_t most) : permits_(permits), most_(most) {}

    void acquire(actor& one) {
        waiting_.push_back(&one);
        settle();
    }

    void try_acquire(actor& one) {
        one.expected = permits_ > 0 ? "acquired" : "not acquired";
        permits_ -= permits_ > 0 ? 1 : 0;
    }

    /// False: they are too many.
    bool release(std::ptrdiff_t update) {
        if (update < 0 || update > most_ - permits_)
            return false;
        permits_ += update;
        settle();
        return true;
    }

    void give_up(actor& one, const char* why) {
        if (std::erase(waiting_, &one) > 0)
            one.expected = why;
    }

    void settle() {
        for (; permits_ > 0 && !waiting_.empty(); --permits_) {
            waiting_.front()->expected = "acquired";
            waiting_.pop_front();
        }
    }

    [[nodiscard]] std::ptrdiff_t permits() const noexcept { return permits_; }

private:
    std::ptrdiff_t permits_;
    const std::ptrdiff_t most_;
    std::deque<actor*> waiting_;
};

template <class Semaphore> class semaphore_model : public testing::Test {};
using semaphores = testing::Types<coir::binary_semaphore, coir::counting_semaphore<4>, coir::counting_semaphore<>>;
TYPED_TEST_SUITE(semaphore_model, semaphores, );

TYPED_TEST(semaphore_model, random_sequences) {
    coir::detail::for_random_seeds(30, [](fake_driver& driver, unsigned seed) {
        experiment all{driver, seed, 6};
        const std::ptrdiff_t permits = seed % 2;
        TypeParam semaphore{permits};
        model expected{permits, TypeParam::max()};

        const auto release = [&] {
            const std::ptrdiff_t update = static_cast<std::ptrdiff_t>(all.below(5)) - 1;
            all.note("  release " + std::to_string(update));
            bool done = true;
            try {
                semaphore.release(update);
            } catch (const std::logic_error&) {
                done = false;
            }
            EXPECT_EQ(done, expected.release(update));
        };
        const auto acquire = [&](actor& one) {
            const bool only_try = all.chance(25);
            all.tell(
                one, only_try ? "try_acquire" : "acquire",
                [&semaphore, only_try](deadline until) -> std::string {
                    if (only_try)
                        return semaphore.try_acquire() ? "acquired" : "not acquired";
                    if (until.is_never())
                        semaphore.acquire();
                    else if (!semaphore.try_acquire_until(until))
                        return "timed out";
                    return "acquired";
                },
                !only_try);
            only_try ? expected.try_acquire(one) : expected.acquire(one);
        };
        all.play(150, expected, release, acquire);
        all.finish(expected);
        std::ptrdiff_t left = 0;
        while (semaphore.try_acquire())
            ++left;
        EXPECT_EQ(left, expected.permits());
    });
}

} // namespace
