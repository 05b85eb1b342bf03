// Coroutines of Boost in fibers, and fibers in them: two libraries that switch stacks, each exception moved once (hazard
// A2). Not under a sanitizer, whom Debian's Boost does not tell of its switches.

#include <coir/fiber.hpp>
#include <coir/run.hpp>
#include <coir/this_fiber.hpp>

#include <gtest/gtest.h>

#if !defined(COIR_ASAN) && !defined(COIR_TSAN)

#include <boost/coroutine2/coroutine.hpp>

#include <chrono>
#include <exception>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using coir::fiber;
using coir::spawn;
using numbers = boost::coroutines2::coroutine<int>;
namespace this_fiber = coir::this_fiber;
using namespace std::chrono_literals;

void expect_no_exceptions() {
    EXPECT_EQ(std::uncaught_exceptions(), 0);
    EXPECT_EQ(std::current_exception(), nullptr);
}

/// Counts to five, and waits before each number, on the coroutine's stack.
void count_slowly(numbers::push_type& sink) {
    for (int i = 1; i <= 5; ++i) {
        i % 2 == 0 ? this_fiber::yield() : this_fiber::sleep_for(10us);
        expect_no_exceptions();
        sink(i);
    }
}

TEST(boost_coroutine_in_fibers, may_block_its_fiber) {
    coir::run([] {
        std::vector<fiber<int>> workers;
        for (int i = 0; i < 50; ++i)
            workers.push_back(spawn([] {
                numbers::pull_type source{count_slowly};
                return std::accumulate(begin(source), end(source), 0);
            }));
        for (auto& each : workers)
            EXPECT_EQ(each.join(), 15);
        expect_no_exceptions();
    });
}

TEST(boost_coroutine_in_fibers, throws_to_its_fiber_and_to_no_other) {
    coir::run([] {
        std::vector<fiber<std::string>> workers;
        for (int i = 0; i < 50; ++i)
            workers.push_back(spawn([i] {
                try {
                    numbers::pull_type source{[i](numbers::push_type& sink) {
                        sink(1);
                        this_fiber::yield();
                        throw std::runtime_error(std::to_string(i));
                    }};
                    source();
                } catch (const std::runtime_error& error) {
                    this_fiber::yield(); // the others throw meanwhile
                    const std::string message = error.what();
                    try {
                        throw;
                    } catch (const std::runtime_error& again) {
                        EXPECT_EQ(again.what(), message);
                    }
                    return message;
                }
                return std::string{};
            }));
        for (std::size_t i = 0; i < workers.size(); ++i)
            EXPECT_EQ(workers[i].join(), std::to_string(i));
        expect_no_exceptions();
    });
}

TEST(boost_coroutine_in_fibers, handles_exceptions_while_its_fiber_waits) {
    coir::run([] {
        std::vector<fiber<void>> workers;
        for (int i = 0; i < 50; ++i)
            workers.push_back(spawn([i] {
                numbers::pull_type source{[i](numbers::push_type& sink) {
                    try {
                        throw i;
                    } catch (const int number) {
                        this_fiber::sleep_for(std::chrono::microseconds{i % 7});
                        EXPECT_EQ(number, i);
                        EXPECT_THROW(throw, int);
                    }
                    expect_no_exceptions();
                    sink(i);
                }};
                EXPECT_EQ(source.get(), i);
                expect_no_exceptions();
            }));
        for (auto& each : workers)
            each.join();
    });
}

TEST(boost_coroutine_in_fibers, is_unwound_when_its_fiber_is_cancelled) {
    struct counts {
        int& count;
        ~counts() {
            this_fiber::yield(); // while it is unwound
            ++count;
        }
    };
    coir::run([] {
        int unwound = 0;
        fiber<void> worker = spawn([&] {
            numbers::pull_type source{[&](numbers::push_type& sink) {
                const counts at_end{unwound};
                sink(1);
            }};
            const counts at_end{unwound};
            this_fiber::sleep_for(1h);
        });
        this_fiber::yield();
        worker.cancel();
        EXPECT_FALSE(worker.wait(coir::deadline::passed()));
        worker.wait();
        EXPECT_EQ(unwound, 2);
        expect_no_exceptions();
    });
}

TEST(fibers_in_boost_coroutine, run_to_their_end_between_two_numbers) {
    numbers::pull_type source{[](numbers::push_type& sink) {
        for (int i = 0; i < 3; ++i)
            sink(coir::run([i] {
                fiber<int> failing = spawn([]() -> int {
                    this_fiber::yield();
                    throw std::runtime_error("from a fiber");
                });
                try {
                    return failing.join();
                } catch (const std::runtime_error&) {
                    this_fiber::yield();
                    return i;
                }
            }));
    }};
    std::vector<int> seen;
    for (const int number : source) {
        seen.push_back(number);
        expect_no_exceptions();
    }
    EXPECT_EQ(seen, (std::vector{0, 1, 2}));
    expect_no_exceptions();
}

} // namespace

#endif
