// Exceptions belong to the fiber that throws them, at every point at which it can be suspended (hazards A1, A3).

#include "sched/fake_driver.hpp"

#include <coir/cancelled.hpp>
#include <coir/fiber.hpp>
#include <coir/this_fiber.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <exception>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

using coir::cancelled;
using coir::fiber;
using coir::spawn;
using coir::detail::fake_driver;
using coir::detail::run_on;
namespace this_fiber = coir::this_fiber;
using namespace std::chrono_literals;

std::string current_message() {
    const std::exception_ptr current = std::current_exception();
    if (!current)
        return {};
    try {
        std::rethrow_exception(current);
    } catch (const std::exception& error) {
        return error.what();
    }
}

/// Gives way to others for a time that nobody can foresee.
void pause(std::minstd_rand& random) {
    switch (random() % 3) {
    case 0:
        return this_fiber::yield();
    case 1:
        return this_fiber::sleep_for(std::chrono::microseconds{random() % 100});
    default:
        return spawn([] {}).join();
    }
}

void throw_and_catch_in_three_levels(unsigned seed) {
    std::minstd_rand random{seed};
    const std::string names[] = {std::to_string(seed) + ".1", std::to_string(seed) + ".2", std::to_string(seed) + ".3"};
    try {
        try {
            pause(random);
            throw std::runtime_error(names[0]);
        } catch (...) {
            pause(random);
            ASSERT_EQ(current_message(), names[0]);
            try {
                try {
                    throw std::runtime_error(names[1]);
                } catch (...) {
                    pause(random);
                    ASSERT_EQ(current_message(), names[1]);
                    try {
                        throw std::runtime_error(names[2]);
                    } catch (const std::exception& error) {
                        pause(random);
                        ASSERT_EQ(error.what(), names[2]);
                    }
                    pause(random);
                    throw;
                }
            } catch (const std::exception& error) {
                pause(random);
                ASSERT_EQ(error.what(), names[1]);
            }
            ASSERT_EQ(current_message(), names[0]);
            pause(random);
            throw;
        }
    } catch (const std::exception& error) {
        pause(random);
        ASSERT_EQ(error.what(), names[0]);
    }
    ASSERT_EQ(std::uncaught_exceptions(), 0);
}

TEST(exceptions_in_fibers, are_not_mixed_up_in_a_thousand_fibers) {
    fake_driver driver;
    run_on(driver, [] {
        std::vector<fiber<void>> workers;
        for (unsigned i = 0; i < 1000; ++i)
            workers.push_back(spawn(throw_and_catch_in_three_levels, i));
        for (auto& each : workers)
            each.join();
        EXPECT_EQ(std::current_exception(), nullptr);
    });
}

TEST(exceptions_in_fibers, are_not_mixed_up_in_the_loops_of_several_threads) {
    std::vector<std::thread> threads;
    for (unsigned t = 0; t < 3; ++t)
        threads.emplace_back([t] {
            fake_driver driver;
            run_on(driver, [t] {
                std::vector<fiber<void>> workers;
                for (unsigned i = 0; i < 200; ++i)
                    workers.push_back(spawn(throw_and_catch_in_three_levels, 10'000 * (t + 1) + i));
                for (auto& each : workers)
                    each.join();
            });
        });
    for (auto& each : threads)
        each.join();
}

TEST(exceptions_in_fibers, are_counted_for_each_while_destructors_wait) {
    struct waits {
        std::minstd_rand& random;
        ~waits() {
            for (int i = 0; i < 3; ++i) {
                EXPECT_EQ(std::uncaught_exceptions(), 1);
                pause(random);
            }
            EXPECT_EQ(std::uncaught_exceptions(), 1);
        }
    };
    fake_driver driver;
    run_on(driver, [] {
        std::vector<fiber<void>> workers;
        for (unsigned i = 1; i <= 100; ++i)
            workers.push_back(spawn([i] {
                std::minstd_rand random{i};
                try {
                    const waits outer{random};
                    const waits inner{random};
                    throw std::runtime_error(std::to_string(i));
                } catch (const std::runtime_error& error) {
                    EXPECT_EQ(error.what(), std::to_string(i));
                    EXPECT_EQ(std::uncaught_exceptions(), 0);
                }
            }));
        for (auto& each : workers)
            each.join();
    });
}

TEST(exceptions_in_fibers, scope_guards_see_cancellation_as_a_failure) {
    struct guard {
        std::string& log;
        int before = std::uncaught_exceptions();
        ~guard() { log += std::uncaught_exceptions() > before ? "failure " : "success "; }
    };
    fake_driver driver;
    run_on(driver, [] {
        std::string log;
        fiber<void> worker = spawn([&] {
            {
                const guard passes{log};
                this_fiber::yield();
            }
            const guard fails{log};
            this_fiber::sleep_for(1h);
        });
        this_fiber::sleep_for(1s);
        worker.cancel();
        EXPECT_THROW(worker.join(), cancelled);
        EXPECT_EQ(log, "success failure ");
    });
}

TEST(exceptions_in_fibers, joining_in_a_catch_block_keeps_the_exception_handled_there) {
    fake_driver driver;
    run_on(driver, [] {
        try {
            throw std::runtime_error("first");
        } catch (const std::runtime_error&) {
            fiber<void> worker = spawn([]() {
                EXPECT_EQ(current_message(), "");
                this_fiber::yield();
                throw std::runtime_error("second");
            });
            try {
                worker.join();
            } catch (const std::runtime_error& error) {
                EXPECT_STREQ(error.what(), "second");
            }
            EXPECT_EQ(current_message(), "first");
        }
    });
}

TEST(exceptions_in_fibers, taken_in_a_catch_block_may_be_rethrown_by_fibers_of_another_thread) {
    fake_driver driver;
    run_on(driver, [] {
        std::vector<std::exception_ptr> taken(100);
        std::vector<fiber<void>> workers;
        for (unsigned i = 0; i < taken.size(); ++i)
            workers.push_back(spawn([&taken, i] {
                std::minstd_rand random{i + 1};
                try {
                    throw std::runtime_error(std::to_string(i));
                } catch (...) {
                    pause(random);
                    taken[i] = std::current_exception();
                    pause(random);
                    EXPECT_EQ(current_message(), std::to_string(i));
                }
            }));
        for (auto& each : workers)
            each.join();
        std::thread([&taken] {
            fake_driver its_driver;
            run_on(its_driver, [&taken] {
                std::vector<fiber<void>> rethrowing;
                for (const std::exception_ptr& each : taken)
                    rethrowing.push_back(spawn([each] {
                        this_fiber::yield();
                        std::rethrow_exception(each);
                    }));
                for (unsigned i = 0; i < taken.size(); ++i) {
                    try {
                        rethrowing[i].join();
                        ADD_FAILURE();
                    } catch (const std::runtime_error& error) {
                        EXPECT_EQ(error.what(), std::to_string(i));
                    }
                }
            });
        }).join();
        EXPECT_EQ(std::current_exception(), nullptr);
    });
}

/// A function-try-block of a constructor: its handler runs when the members are gone, and rethrows at its end.
struct never_made {
    explicit never_made(unsigned seed, std::minstd_rand& random) try : number_(fail(seed, random)) {
    } catch (const std::runtime_error& error) {
        pause(random);
        EXPECT_EQ(error.what(), std::to_string(seed));
    }
    static unsigned fail(unsigned seed, std::minstd_rand& random) {
        pause(random);
        throw std::runtime_error(std::to_string(seed));
    }
    unsigned number_;
};

TEST(exceptions_in_fibers, of_function_try_blocks_are_not_mixed_up) {
    fake_driver driver;
    run_on(driver, [] {
        std::vector<fiber<void>> workers;
        for (unsigned i = 1; i <= 100; ++i)
            workers.push_back(spawn([i] {
                std::minstd_rand random{i};
                try {
                    const never_made made{i, random};
                    ADD_FAILURE() << made.number_;
                } catch (const std::runtime_error& error) {
                    EXPECT_EQ(error.what(), std::to_string(i));
                    pause(random);
                    EXPECT_EQ(current_message(), std::to_string(i));
                }
            }));
        for (auto& each : workers)
            each.join();
    });
}

TEST(exceptions_in_fibers, spawn_in_a_catch_block_starts_without_exceptions) {
    fake_driver driver;
    run_on(driver, [] {
        std::vector<fiber<void>> workers;
        try {
            throw std::runtime_error("of the creator");
        } catch (const std::runtime_error&) {
            for (int i = 0; i < 3; ++i)
                workers.push_back(spawn([] {
                    EXPECT_EQ(std::current_exception(), nullptr);
                    this_fiber::yield();
                    EXPECT_EQ(std::current_exception(), nullptr);
                }));
            for (auto& each : workers)
                each.join();
            EXPECT_EQ(current_message(), "of the creator");
        }
    });
}

} // namespace
