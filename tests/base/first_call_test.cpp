#include "base/first_call.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace {

using coir::detail::first_call;

TEST(first_call, is_one_of_all) {
    static constinit first_call started;
    std::atomic<int> firsts{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i)
        threads.emplace_back([&firsts] {
            for (int j = 0; j < 1'000; ++j)
                firsts += started.is_this() ? 1 : 0;
        });
    for (auto& each : threads)
        each.join();
    EXPECT_EQ(firsts, 1);
}

} // namespace
