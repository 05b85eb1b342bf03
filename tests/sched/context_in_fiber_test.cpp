// A context used by a fiber, and a loop's fibers that are suspended on the stack of a context: blocking calls work there too.

#include "sched/fake_driver.hpp"

#include <coir/cancelled.hpp>
#include <coir/context.hpp>
#include <coir/fiber.hpp>
#include <coir/generator.hpp>
#include <coir/task_group.hpp>
#include <coir/this_fiber.hpp>
#include <coir/with_timeout.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using coir::cancelled;
using coir::context;
using coir::fiber;
using coir::spawn;
using coir::detail::fake_driver;
using coir::detail::run_on;
namespace this_fiber = coir::this_fiber;
using namespace std::chrono_literals;

using context_in_fiber = coir::detail::with_fake_driver;

/// Local memory that AddressSanitizer watches, wherever the frame is.
[[gnu::noinline]] int sum_of_locals(int seed) {
    std::vector<int> numbers(10, seed);
    volatile int local[10];
    for (std::size_t i = 0; i < numbers.size(); ++i)
        local[i] = numbers[i];
    int sum = 0;
    for (const int each : local)
        sum += each;
    return sum;
}

TEST_F(context_in_fiber, works_as_anywhere) {
    run_on(driver, [] {
        std::vector<fiber<int>> workers;
        for (int i = 0; i < 20; ++i)
            workers.push_back(spawn([i] {
                int sum = 0;
                context numbers{[&](context::self& self) {
                    for (int k = 0; k < 5; ++k) {
                        sum += sum_of_locals(i) / 10;
                        self.suspend();
                    }
                }};
                while (numbers.resume())
                    this_fiber::yield();
                return sum;
            }));
        for (int i = 0; i < 20; ++i)
            EXPECT_EQ(workers[static_cast<std::size_t>(i)].join(), 5 * i);
    });
}

TEST_F(context_in_fiber, blocks_its_fiber_when_it_blocks) {
    run_on(driver, [this] {
        std::string log;
        fiber<void> other = spawn([&] {
            for (int i = 0; i < 3; ++i) {
                log += 'o';
                this_fiber::sleep_for(1s);
            }
        });
        context inside{[&](context::self& self) {
            for (int i = 0; i < 3; ++i) {
                this_fiber::sleep_for(1s); // on this stack
                log += 'i';
                (void)sum_of_locals(i);
                self.suspend();
            }
        }};
        while (inside.resume())
            log += 'r';
        other.join();
        EXPECT_EQ(driver.elapsed(), 3s); // and not six
        std::sort(log.begin(), log.end());
        EXPECT_EQ(log, "iiiooorrr");
    });
}

TEST_F(context_in_fiber, may_be_handed_from_fiber_to_fiber) {
    run_on(driver, [] {
        std::vector<coir::fiber_id> users;
        context shared{[&](context::self& self) {
            for (;;) {
                this_fiber::yield();
                users.push_back(this_fiber::id());
                self.suspend();
            }
        }};
        std::vector<coir::fiber_id> expected;
        for (int i = 0; i < 5; ++i) {
            fiber<void> user = spawn([&] { shared.resume(); });
            expected.push_back(user.id());
            user.join();
        }
        EXPECT_EQ(users, expected);
    });
}

TEST_F(context_in_fiber, that_runs_is_refused_to_other_fibers) {
    run_on(driver, [] {
        context shared{[&](context::self& /*self*/) { this_fiber::sleep_for(1s); }};
        fiber<void> user = spawn([&] { shared.resume(); });
        this_fiber::yield(); // now it sleeps in there
        EXPECT_THROW(shared.resume(), std::logic_error);
        user.join();
        EXPECT_TRUE(shared.done());
    });
}

TEST_F(context_in_fiber, passes_cancellation_of_the_fiber_on) {
    run_on(driver, [] {
        std::string log;
        fiber<void> worker = spawn([&] {
            context inside{[&](context::self& /*self*/) {
                try {
                    this_fiber::sleep_for(1h);
                } catch (const cancelled&) {
                    log += "inside ";
                    throw;
                }
            }};
            try {
                inside.resume();
            } catch (const cancelled&) {
                log += "outside";
                throw;
            }
        });
        this_fiber::yield();
        worker.cancel();
        EXPECT_THROW(worker.join(), cancelled);
        EXPECT_EQ(log, "inside outside");
    });
}

TEST_F(context_in_fiber, is_unwound_when_its_fiber_is_cancelled) {
    run_on(driver, [] {
        const auto alive = std::make_shared<int>(0);
        fiber<void> worker = spawn([alive] {
            context inside{[&](context::self& self) {
                const auto mine = alive;
                self.suspend();
            }};
            inside.resume();
            this_fiber::sleep_for(1h);
        });
        this_fiber::yield();
        EXPECT_EQ(alive.use_count(), 3);
        worker.cancel();
        EXPECT_THROW(worker.join(), cancelled);
        EXPECT_EQ(alive.use_count(), 1);
    });
}

TEST_F(context_in_fiber, destructors_in_it_may_block_while_it_is_unwound) {
    run_on(driver, [this] {
        int slept = 0;
        struct sleeps {
            int& count;
            ~sleeps() {
                this_fiber::sleep_for(1s);
                ++count;
            }
        };
        fiber<void> other = spawn([] {
            for (int i = 0; i < 10; ++i) {
                this_fiber::sleep_for(300ms);
                EXPECT_EQ(std::uncaught_exceptions(), 0);
            }
        });
        {
            context inside{[&](context::self& self) {
                const sleeps first{slept};
                const sleeps second{slept};
                self.suspend();
            }};
            inside.resume();
        }
        EXPECT_EQ(slept, 2);
        EXPECT_EQ(driver.elapsed(), 2s);
        other.join();
    });
}

/// What a destructor of a cancelled fiber does, contexts within contexts.
TEST_F(context_in_fiber, run_by_a_destructor_is_told_of_cancellation_as_little_as_that_one) {
    std::string log;
    struct reads_at_end {
        std::string& log;
        ~reads_at_end() {
            coir::generator<int> numbers = [this](auto& yield) {
                coir::generator<int> inside = [](auto& yield_inside) {
                    this_fiber::sleep_for(1s);
                    yield_inside(1);
                    coir::task_group group;
                    group.spawn([] { this_fiber::sleep_for(1s); });
                    group.join();
                    yield_inside(2);
                };
                for (const int each : inside)
                    yield(each);
                if (!coir::try_with_timeout(1s, [] { this_fiber::sleep_for(1h); }))
                    log += "late ";
                try {
                    throw std::runtime_error("handled");
                } catch (const std::runtime_error&) {
                    this_fiber::sleep_for(1s);
                }
                yield(3);
            };
            for (const int each : numbers)
                log += std::to_string(each) + ' ';
            EXPECT_FALSE(coir::try_with_timeout(1s, [] {
                coir::generator<int> last = [](auto& /*yield*/) { this_fiber::sleep_for(1h); };
                (void)last.begin();
            }));
        }
    };
    run_on(driver, [&] {
        const auto work = [&] {
            const reads_at_end at_end{log};
            this_fiber::sleep_for(1h);
        };
        fiber<void> worker = spawn(work);
        this_fiber::sleep_for(1s);
        worker.cancel();
        EXPECT_THROW(worker.join(), cancelled);
        EXPECT_EQ(log, "1 2 late 3 ");
        EXPECT_EQ(driver.elapsed(), 6s);
        // In the middle of it.
        log.clear();
        fiber<void> other = spawn([&] {
            const reads_at_end at_end{log};
            throw std::runtime_error("other");
        });
        this_fiber::sleep_for(500ms);
        other.cancel();
        EXPECT_THROW(other.join(), std::runtime_error);
        EXPECT_EQ(log, "1 2 late 3 ");
        EXPECT_EQ(driver.elapsed(), 11s);
    });
}

TEST_F(context_in_fiber, run_by_a_handler_of_cancellation_does_not_swallow_it) {
    testing::internal::CaptureStderr();
    run_on(driver, [] {
        fiber<void> worker = spawn([] {
            try {
                this_fiber::sleep_for(1h);
            } catch (const cancelled&) {
                context good_bye{[](context::self& /*self*/) { this_fiber::yield(); }};
                good_bye.resume();
                throw;
            }
        });
        this_fiber::yield();
        worker.cancel();
        EXPECT_THROW(worker.join(), cancelled);
    });
    EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

TEST_F(context_in_fiber, keeps_its_exceptions_while_its_fiber_sleeps) {
    run_on(driver, [] {
        std::vector<fiber<void>> workers;
        for (int i = 0; i < 20; ++i)
            workers.push_back(spawn([i] {
                try {
                    throw std::runtime_error("fiber");
                } catch (const std::runtime_error&) {
                    context inside{[i](context::self& self) {
                        EXPECT_EQ(std::current_exception(), nullptr);
                        try {
                            throw i;
                        } catch (int number) {
                            this_fiber::sleep_for(std::chrono::milliseconds{i % 4});
                            self.suspend();
                            EXPECT_EQ(number, i);
                            EXPECT_THROW(throw, int);
                        }
                    }};
                    inside.resume();
                    this_fiber::yield();
                    EXPECT_THROW(throw, std::runtime_error);
                    inside.resume();
                }
            }));
        for (auto& each : workers)
            each.join();
    });
}

// Ten deep, and every level both suspends and sleeps.
TEST_F(context_in_fiber, may_be_nested_deeply) {
    struct level {
        static int enter(int depth) { // NOLINT(misc-no-recursion)
            if (depth == 0) {
                this_fiber::sleep_for(1ms);
                return 1;
            }
            int below = 0;
            context inside{[&](context::self& self) {
                this_fiber::yield();
                self.suspend();
                below = enter(depth - 1);
                (void)sum_of_locals(depth);
            }};
            while (inside.resume())
                this_fiber::sleep_for(1ms);
            return below + 1;
        }
    };
    run_on(driver, [] {
        std::vector<fiber<int>> workers;
        for (int i = 0; i < 10; ++i)
            workers.push_back(spawn([] { return level::enter(10); }));
        for (auto& each : workers)
            EXPECT_EQ(each.join(), 11);
    });
}

TEST_F(context_in_fiber, a_loop_may_run_on_the_stack_of_a_context) {
    int result = 0;
    context inside{[&](context::self& self) {
        result = run_on(driver, [] {
            this_fiber::sleep_for(1s);
            return spawn([] { return sum_of_locals(4); }).join();
        });
        self.suspend();
    }};
    EXPECT_TRUE(inside.resume());
    EXPECT_EQ(result, 40);
    EXPECT_FALSE(inside.resume());
}

} // namespace
