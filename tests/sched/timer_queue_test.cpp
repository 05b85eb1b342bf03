#include "sched/timer_queue.hpp"

#include <coir/detail/wait_record.hpp>

#include <gtest/gtest.h>

#include <cstddef>
#include <deque>
#include <iterator>
#include <limits>
#include <map>
#include <random>
#include <vector>

namespace {

using coir::detail::for_ever;
using coir::detail::loop_time;
using coir::detail::timer;
using coir::detail::timer_queue;
using coir::detail::wait_kind;
using coir::detail::wait_record;

class timers : public testing::Test {
protected:
    wait_record& arm(loop_time when) {
        records.emplace_back(wait_kind::sleep, nullptr);
        queue.reserve(records.size());
        queue.arm(records.back(), when);
        return records.back();
    }

    std::deque<wait_record> records;
    timer_queue queue;
};

TEST_F(timers, none_is_due_for_ever) {
    EXPECT_EQ(queue.earliest(), for_ever);
    EXPECT_EQ(queue.pop_due(for_ever), nullptr);
}

TEST_F(timers, become_due_at_their_time_and_not_before) {
    wait_record& record = arm(1000);
    EXPECT_EQ(queue.earliest(), 1000);
    EXPECT_EQ(queue.pop_due(999), nullptr);
    EXPECT_EQ(queue.pop_due(1000), &record);
    EXPECT_EQ(record.timer_index, timer::no_timer);
    EXPECT_EQ(queue.earliest(), for_ever);
}

TEST_F(timers, become_due_in_the_order_of_time) {
    wait_record& third = arm(30);
    wait_record& first = arm(-5);
    wait_record& second = arm(20);
    EXPECT_EQ(queue.pop_due(100), &first);
    EXPECT_EQ(queue.pop_due(100), &second);
    EXPECT_EQ(queue.pop_due(100), &third);
    EXPECT_EQ(queue.pop_due(100), nullptr);
}

TEST_F(timers, take_any_time) {
    wait_record& last = arm(std::numeric_limits<loop_time>::max() - 1);
    wait_record& first = arm(std::numeric_limits<loop_time>::min());
    EXPECT_EQ(queue.pop_due(0), &first);
    EXPECT_EQ(queue.pop_due(0), nullptr);
    EXPECT_EQ(queue.pop_due(for_ever), &last);
}

TEST_F(timers, can_be_disarmed_wherever_they_are) {
    for (std::size_t victim = 0; victim < 40; ++victim) {
        std::vector<wait_record*> armed;
        for (loop_time when = 0; when < 40; ++when)
            armed.push_back(&arm(when * 7 % 40));
        queue.disarm(*armed[victim]);
        EXPECT_EQ(armed[victim]->timer_index, timer::no_timer);
        for (loop_time when = 0; when < 40; ++when) {
            if (when != static_cast<loop_time>(victim) * 7 % 40) {
                ASSERT_EQ(queue.earliest(), when);
                ASSERT_NE(queue.pop_due(when), nullptr);
            }
        }
        ASSERT_EQ(queue.earliest(), for_ever);
    }
}

TEST_F(timers, can_be_armed_again) {
    wait_record& record = arm(10);
    arm(20);
    queue.disarm(record);
    queue.arm(record, 30);
    EXPECT_EQ(queue.earliest(), 20);
    EXPECT_NE(queue.pop_due(100), &record);
    EXPECT_EQ(queue.pop_due(100), &record);
}

// What deadlines of reads do: armed, disarmed, armed again, far more often than there is room, while some stay.
TEST_F(timers, that_come_in_order_are_armed_and_disarmed_without_end) {
    std::deque<wait_record*> armed;
    for (int i = 0; i < 100; ++i)
        records.emplace_back(wait_kind::sleep, nullptr);
    queue.reserve(records.size());
    loop_time now = 0;
    for (wait_record& each : records) {
        queue.arm(each, ++now + 5'000);
        armed.push_back(&each);
    }
    std::minstd_rand random{7};
    for (int round = 0; round < 100'000; ++round) {
        const auto victim = armed.begin() + static_cast<std::ptrdiff_t>(random() % (round % 1000 < 500 ? 100 : 3));
        wait_record& record = **victim;
        armed.erase(victim);
        queue.disarm(record);
        ASSERT_EQ(record.timer_index, timer::no_timer);
        queue.arm(record, ++now + (random() % 3 == 0 ? 30'000 : 5'000));
        armed.push_back(&record);
    }
    std::size_t left = 0;
    loop_time last = 0;
    while (queue.earliest() != for_ever) {
        const loop_time next = queue.earliest();
        ASSERT_LE(last, next);
        last = next;
        ASSERT_EQ(queue.pop_due(next - 1), nullptr);
        ASSERT_NE(queue.pop_due(next), nullptr);
        ++left;
    }
    EXPECT_EQ(left, records.size());
}

// The runs take some 50,000; the others are in the heap.
TEST_F(timers, may_be_more_than_the_runs_take) {
    constexpr loop_time count = 60'000;
    std::vector<wait_record*> armed;
    for (loop_time when = 0; when < count; ++when)
        armed.push_back(&arm(when));
    for (loop_time when = 0; when < count; when += 3)
        queue.disarm(*armed[static_cast<std::size_t>(when)]);
    for (loop_time when = 0; when < count; when += 3) // where there are gaps now, and where there are none
        queue.arm(*armed[static_cast<std::size_t>(when)], count + when);
    for (loop_time when = 0; when < count; ++when)
        if (when % 3 != 0) {
            ASSERT_EQ(queue.earliest(), when);
            ASSERT_EQ(queue.pop_due(when), armed[static_cast<std::size_t>(when)]);
        }
    for (loop_time when = 0; when < count; when += 3) {
        ASSERT_EQ(queue.earliest(), count + when);
        ASSERT_EQ(queue.pop_due(for_ever), armed[static_cast<std::size_t>(when)]);
    }
    EXPECT_EQ(queue.earliest(), for_ever);
}

// A run that is full takes more only in place of gaps, and those of earlier times do not count.
TEST_F(timers, do_not_take_the_places_of_others) {
    const auto arm_many = [this](loop_time first) {
        for (loop_time when = first; when < first + 40'000; ++when)
            arm(when);
    };
    const auto expect_many = [this](loop_time first, loop_time end) {
        for (loop_time when = first; when < end; ++when) {
            ASSERT_EQ(queue.earliest(), when);
            ASSERT_NE(queue.pop_due(when), nullptr);
        }
    };
    queue.disarm(arm(0));
    arm_many(1);
    expect_many(1, 40'001);
    arm_many(100'000); // those that have been taken out have left gaps
    expect_many(100'000, 140'000);
    std::vector<wait_record*> armed;
    constexpr loop_time places = 16'384; // that a run has at most
    for (loop_time when = 0; when < places; ++when)
        armed.push_back(&arm(200'000 + when));
    constexpr loop_time disarmed = 9'000;
    for (loop_time i = 1; i <= disarmed; ++i)
        queue.disarm(*armed[static_cast<std::size_t>(i)]);
    arm_many(300'000); // closes the gaps first
    expect_many(200'000, 200'001);
    expect_many(200'001 + disarmed, 200'000 + places);
    expect_many(300'000, 340'000);
    EXPECT_EQ(queue.earliest(), for_ever);
}

TEST_F(timers, keep_their_places_when_more_room_is_made) {
    std::vector<wait_record*> armed;
    for (loop_time when = 0; when < 1'000; ++when) {
        armed.push_back(&arm(when / 3 * (when % 3 + 1)));
        if (when % 5 == 4) {
            queue.disarm(*armed[static_cast<std::size_t>(when) / 2]);
            queue.arm(*armed[static_cast<std::size_t>(when) / 2], when);
        }
    }
    loop_time last = -1;
    for (std::size_t i = 0; i < armed.size(); ++i) {
        ASSERT_LE(last, queue.earliest());
        last = queue.earliest();
        ASSERT_NE(queue.pop_due(last), nullptr);
    }
    EXPECT_EQ(queue.earliest(), for_ever);
}

TEST_F(timers, behave_as_a_sorted_map_does) {
    std::minstd_rand random{5};
    std::multimap<loop_time, wait_record*> model;
    std::vector<wait_record*> unused;
    for (int i = 0; i < 2000; ++i) {
        records.emplace_back(wait_kind::sleep, nullptr);
        unused.push_back(&records.back());
    }
    queue.reserve(records.size());

    loop_time now = 0;
    const auto pop_due = [&] {
        now += random() % 100;
        while (timer* due = queue.pop_due(now)) {
            // Of those with equal times any may come first.
            auto [first, last] = model.equal_range(model.begin()->first);
            while (first != last && first->second != due)
                ++first;
            ASSERT_NE(first, last);
            ASSERT_LE(first->first, now);
            ASSERT_EQ(due->timer_index, timer::no_timer);
            unused.push_back(static_cast<wait_record*>(due));
            model.erase(first);
        }
        ASSERT_TRUE(model.empty() || model.begin()->first > now);
    };
    for (int step = 0; step < 200'000; ++step) {
        const auto what = random() % 100;
        const bool growing = step / 20'000 % 2 == 0;
        if (what < (growing ? 60U : 30U) && !unused.empty()) {
            wait_record* record = unused.back();
            unused.pop_back();
            // Mostly the same distance from now, as a server's are; some any.
            const loop_time when = now + (random() % 4 == 0 ? random() % 10'000 : 5'000);
            queue.arm(*record, when);
            model.emplace(when, record);
        } else if (what < 95 && !model.empty()) {
            const auto victim = std::next(
                model.begin(), static_cast<std::ptrdiff_t>(random() % std::min<std::size_t>(model.size(), 50)));
            queue.disarm(*victim->second);
            ASSERT_EQ(victim->second->timer_index, timer::no_timer);
            unused.push_back(victim->second);
            model.erase(victim);
        } else {
            pop_due();
        }
        ASSERT_EQ(queue.earliest(), model.empty() ? for_ever : model.begin()->first);
    }
}

} // namespace
