#include <coir/cancelled.hpp>
#include <coir/context.hpp>

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <vector>

namespace {

using coir::context;

TEST(transfer, continues_another_whose_suspend_goes_to_the_first_resumer) {
    std::string order;
    context second{[&](context::self& self) {
        order += "b";
        self.suspend();
        order += "d";
    }};
    context first{[&](context::self& self) {
        order += "a";
        self.transfer_to(second);
        order += "c";
    }};
    EXPECT_TRUE(first.resume());
    EXPECT_EQ(order, "ab");
    EXPECT_FALSE(first.resume()); // neither is now running
    EXPECT_EQ(order, "abc");
    EXPECT_FALSE(second.resume());
    EXPECT_EQ(order, "abcd");
}

TEST(transfer, goes_back_and_forth) {
    int turns = 0;
    context* partner = nullptr;
    context one{[&](context::self& self) {
        for (;;) {
            ++turns;
            self.transfer_to(*partner);
        }
    }};
    context other{[&](context::self& self) {
        for (int i = 0; i < 1000; ++i) {
            ++turns;
            self.transfer_to(one);
        }
        self.suspend();
    }};
    partner = &other;
    EXPECT_TRUE(one.resume());
    EXPECT_EQ(turns, 2001);
    EXPECT_FALSE(one.done());
}

TEST(transfer, to_one_that_ends_goes_back_to_the_first_resumer) {
    context second{[](context::self& /*self*/) {}};
    bool continued = false;
    context first{[&](context::self& self) {
        self.transfer_to(second);
        continued = true;
    }};
    EXPECT_TRUE(first.resume()); // it has not ended itself
    EXPECT_TRUE(second.done());
    EXPECT_FALSE(continued);
    EXPECT_FALSE(first.resume());
    EXPECT_TRUE(continued);
}

// Nobody else would see the exception.
TEST(transfer, to_one_that_throws_rethrows_at_the_first_resumer) {
    context second{[](context::self& /*self*/) { throw std::runtime_error("second"); }};
    context first{[&](context::self& self) { self.transfer_to(second); }};
    try {
        first.resume();
        ADD_FAILURE() << "the exception was lost";
    } catch (const std::runtime_error& error) {
        EXPECT_STREQ(error.what(), "second");
    }
    EXPECT_TRUE(second.done());
    EXPECT_FALSE(first.done());
}

TEST(transfer, to_one_that_cannot_be_resumed_throws_and_changes_nothing) {
    context empty;
    context ended{[](context::self& /*self*/) {}};
    ended.resume();
    context* itself = nullptr;
    int refused = 0;
    context inside{[&](context::self& self) {
        for (context* next : {&empty, &ended, itself}) {
            try {
                self.transfer_to(*next);
            } catch (const std::logic_error&) {
                ++refused;
            }
        }
        self.suspend();
    }};
    itself = &inside;
    EXPECT_TRUE(inside.resume());
    EXPECT_EQ(refused, 3);
    EXPECT_FALSE(inside.resume());
}

TEST(transfer, to_the_resumer_is_refused_for_it_waits) {
    context* outer_address = nullptr;
    bool refused = false;
    context inner{[&](context::self& self) {
        try {
            self.transfer_to(*outer_address);
        } catch (const std::logic_error&) {
            refused = true;
        }
    }};
    context outer{[&](context::self& /*self*/) { inner.resume(); }};
    outer_address = &outer;
    EXPECT_FALSE(outer.resume());
    EXPECT_TRUE(refused);
}

TEST(transfer, while_being_destroyed_throws_instead) {
    bool ran = false;
    context second{[&](context::self& /*self*/) { ran = true; }};
    bool cancelled = false;
    {
        context first{[&](context::self& self) {
            try {
                self.suspend();
            } catch (const coir::cancelled&) {
                try {
                    self.transfer_to(second);
                } catch (const coir::cancelled&) {
                    cancelled = true;
                }
            }
        }};
        first.resume();
    }
    EXPECT_TRUE(cancelled);
    EXPECT_FALSE(ran);
    EXPECT_FALSE(second.done());
}

TEST(transfer, in_a_ring_visits_everyone) {
    std::vector<context> ring;
    std::string order;
    for (int i = 0; i < 5; ++i)
        ring.emplace_back([&, i](context::self& self) {
            for (int round = 0; round < 3; ++round) {
                order += static_cast<char>('a' + i);
                if (i < 4)
                    self.transfer_to(ring[static_cast<std::size_t>(i) + 1]);
                else
                    self.suspend();
            }
        });
    for (int round = 0; round < 3; ++round)
        EXPECT_TRUE(ring[0].resume());
    EXPECT_EQ(order, "abcdeabcdeabcde");
}

} // namespace
