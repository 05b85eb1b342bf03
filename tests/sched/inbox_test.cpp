#include "sched/inbox.hpp"

#include <coir/detail/shared_wait.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <cstddef>
#include <deque>
#include <thread>
#include <vector>

namespace {

using coir::detail::inbox;
using coir::detail::shared_wait;
using coir::detail::wait_kind;

/// Records of who put them in, and the how many-th it was.
struct numbered {
    shared_wait record{wait_kind::event, this};
    std::size_t thread = 0;
    std::size_t number = 0;
};

numbered& of(shared_wait& record) {
    return *static_cast<numbered*>(const_cast<void*>(record.object));
}

TEST(inbox, gives_out_in_the_order_of_putting_in) {
    inbox box;
    EXPECT_TRUE(box.empty());
    std::deque<numbered> records(5);
    for (int round = 0; round < 3; ++round) {
        for (std::size_t i = 0; i < records.size(); ++i) {
            records[i].number = i;
            box.push(records[i].record);
            EXPECT_FALSE(box.empty());
        }
        std::size_t next = 0;
        box.take_all([&](shared_wait& record) { EXPECT_EQ(of(record).number, next++); });
        EXPECT_EQ(next, records.size());
        EXPECT_TRUE(box.empty());
    }
    box.take_all([](shared_wait&) { FAIL(); });
}

TEST(inbox, may_be_given_a_record_again_by_who_takes_it_out) {
    inbox box;
    std::deque<numbered> records(3);
    for (numbered& each : records)
        box.push(each.record);
    int visits = 0;
    box.take_all([&](shared_wait& record) {
        if (++visits <= 3)
            box.push(record); // for the next time
    });
    EXPECT_EQ(visits, 3);
    box.take_all([&](shared_wait&) { ++visits; });
    EXPECT_EQ(visits, 6);
}

TEST(inbox, loses_nothing_that_several_threads_put_in_while_one_takes_out) {
    constexpr std::size_t threads = 3;
    constexpr std::size_t each_puts = 20'000;
    inbox box;
    std::vector<std::deque<numbered>> records(threads);
    for (auto& each : records)
        each.resize(each_puts);
    std::vector<std::thread> putting;
    for (std::size_t t = 0; t < threads; ++t)
        putting.emplace_back([&, t] {
            for (std::size_t i = 0; i < each_puts; ++i) {
                numbered& one = records[t][i];
                one.thread = t;
                one.number = i;
                box.push(one.record);
            }
        });
    std::vector<std::size_t> next(threads); // in order for each thread
    for (std::size_t taken = 0; taken < threads * each_puts;)
        box.take_all([&](shared_wait& record) {
            const numbered& one = of(record);
            EXPECT_EQ(one.number, next[one.thread]++);
            ++taken;
        });
    for (auto& each : putting)
        each.join();
    EXPECT_TRUE(box.empty());
}

} // namespace
