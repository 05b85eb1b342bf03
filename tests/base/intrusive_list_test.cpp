#include <coir/detail/intrusive_list.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <list>
#include <random>
#include <vector>

namespace {

struct other_base {
    int padding = 0;
};

/// The list's node is not where the element begins.
struct element : other_base, coir::detail::list_node {
    int number = 0;
};

using elements = coir::detail::intrusive_list<element>;

std::vector<int> contents(elements& list) {
    std::vector<int> numbers;
    list.for_each([&](element& each) { numbers.push_back(each.number); });
    return numbers;
}

class intrusive_list : public testing::Test {
protected:
    intrusive_list() {
        for (std::size_t i = 0; i < some.size(); ++i)
            some[i].number = static_cast<int>(i);
    }

    std::array<element, 5> some;
    elements list;
};

TEST_F(intrusive_list, is_empty_at_first) {
    EXPECT_TRUE(list.empty());
    EXPECT_FALSE(some[0].is_linked());
}

TEST_F(intrusive_list, pops_in_the_order_of_pushes) {
    for (element& each : some)
        list.push_back(each);
    EXPECT_TRUE(some[0].is_linked());
    EXPECT_EQ(&list.front(), &some[0]);
    for (element& each : some)
        EXPECT_EQ(&list.pop_front(), &each);
    EXPECT_TRUE(list.empty());
    EXPECT_FALSE(some[0].is_linked());
}

TEST_F(intrusive_list, lets_an_element_take_itself_out_wherever_it_is) {
    for (element& each : some)
        list.push_back(each);
    some[2].unlink();
    EXPECT_FALSE(some[2].is_linked());
    EXPECT_EQ(contents(list), (std::vector{0, 1, 3, 4}));
    some[0].unlink();
    some[4].unlink();
    EXPECT_EQ(contents(list), (std::vector{1, 3}));
    some[1].unlink();
    some[3].unlink();
    EXPECT_TRUE(list.empty());
}

TEST_F(intrusive_list, takes_an_element_back_at_its_end) {
    for (element& each : some)
        list.push_back(each);
    some[1].unlink();
    list.push_back(some[1]);
    EXPECT_EQ(contents(list), (std::vector{0, 2, 3, 4, 1}));
    while (!list.empty())
        list.pop_front();
}

TEST_F(intrusive_list, can_be_emptied_by_its_own_visit) {
    for (element& each : some)
        list.push_back(each);
    std::vector<int> seen;
    list.for_each([&](element& each) {
        seen.push_back(each.number);
        each.unlink();
    });
    EXPECT_EQ(seen, (std::vector{0, 1, 2, 3, 4}));
    EXPECT_TRUE(list.empty());
}

TEST_F(intrusive_list, behaves_as_a_list_does) {
    std::minstd_rand random{11};
    std::list<int> model;
    for (int step = 0; step < 20'000; ++step) {
        element& each = some[random() % some.size()];
        if (each.is_linked()) {
            each.unlink();
            model.remove(each.number);
        } else {
            list.push_back(each);
            model.push_back(each.number);
        }
        const std::vector<int> now = contents(list);
        ASSERT_TRUE(std::equal(now.begin(), now.end(), model.begin(), model.end()));
        ASSERT_EQ(list.empty(), model.empty());
    }
    while (!list.empty())
        list.pop_front();
}

} // namespace
