#include <coir/cancel_scope.hpp>
#include <coir/cancelled.hpp>
#include <coir/fiber.hpp>
#include <coir/offload.hpp>
#include <coir/run.hpp>
#include <coir/task_group.hpp>
#include <coir/this_fiber.hpp>
#include <coir/with_timeout.hpp>

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <barrier>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <future>
#include <memory>
#include <pthread.h>
#include <random>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace {

using coir::cancelled;
using coir::fiber;
using coir::offload;
using coir::offload_pool;
using coir::run;
using coir::spawn;
namespace this_fiber = coir::this_fiber;
using namespace std::chrono_literals;

/// Tells when it is destroyed, and on which thread.
class tells_its_end {
public:
    explicit tells_its_end(std::promise<std::thread::id>& end) : end_(&end) {}
    tells_its_end(tells_its_end&& other) noexcept : end_(std::exchange(other.end_, nullptr)) {}
    tells_its_end& operator=(tells_its_end&&) = delete;
    ~tells_its_end() {
        if (end_)
            end_->set_value(std::this_thread::get_id());
    }

private:
    std::promise<std::thread::id>* end_;
};

std::string name_of_thread() {
    std::array<char, 16> name{};
    ::pthread_getname_np(::pthread_self(), name.data(), name.size());
    return name.data();
}

/// For a pool without idle time: returns when every call in it has ended and has been delivered. Stops the whole loop.
void await_end_of_threads(const offload_pool& pool) {
    while (pool.thread_count() != 0)
        std::this_thread::yield();
}

TEST(offload, returns_what_the_function_returns_on_another_thread) {
    offload_pool pool;
    int variable = 1;
    run([&] {
        EXPECT_NE(offload(pool, [] { return std::this_thread::get_id(); }), std::this_thread::get_id());
        EXPECT_EQ(*offload(pool, [number = std::make_unique<int>(5)]() mutable { return std::move(number); }), 5);
        EXPECT_EQ(&offload(pool, [&variable]() -> int& { return variable; }), &variable);
        offload(pool, [&variable] { ++variable; });
        EXPECT_EQ(variable, 2);
        EXPECT_EQ(offload([] { return 6; }), 6); // in the common pool
    });
}

TEST(offload, lets_other_fibers_run) {
    run([] {
        std::promise<int> number;
        const fiber<void> other = spawn([&] { number.set_value(7); });
        EXPECT_EQ(offload([&] { return number.get_future().get(); }), 7);
    });
}

TEST(offload, throws_what_the_function_throws) {
    run([] {
        try {
            offload([]() -> int { throw std::out_of_range("far away"); });
            FAIL();
        } catch (const std::out_of_range& error) {
            EXPECT_STREQ(error.what(), "far away");
        }
        EXPECT_EQ(offload([] { return 1; }), 1);
    });
}

TEST(offload, destroys_the_function_on_the_thread_before_it_returns) {
    run([] {
        std::promise<std::thread::id> end;
        const auto thread = offload([end = tells_its_end{end}] { return std::this_thread::get_id(); });
        std::future<std::thread::id> destroyed = end.get_future();
        ASSERT_EQ(destroyed.wait_for(0s), std::future_status::ready);
        EXPECT_EQ(destroyed.get(), thread);
    });
}

TEST(offload, blocks_a_thread_without_a_loop) {
    EXPECT_EQ(offload([] { return 5; }), 5);
    EXPECT_THROW(offload([] { throw std::runtime_error("x"); }), std::runtime_error);
    std::promise<void> release;
    EXPECT_THROW(offload([done = release.get_future()] { done.wait(); }, 1ms), std::system_error);
    release.set_value();
}

TEST(offload, within_its_own_thread_calls_directly) {
    offload_pool pool{{.most_threads = 1}};
    offload_pool other{{.most_threads = 1}};
    run([&] {
        const bool same = offload(pool, [&] {
            const auto here = std::this_thread::get_id();
            EXPECT_NE(offload(other, [] { return std::this_thread::get_id(); }), here);
            return offload(pool, [] { return std::this_thread::get_id(); }) == here;
        });
        EXPECT_TRUE(same);
    });
}

// In a loop of its own, too, if no other thread is free.
TEST(offload, within_a_loop_on_its_own_thread_calls_directly) {
    run([] {
        offload_pool pool{{.most_threads = 1}};
        EXPECT_EQ(offload(pool, [&] { return run([&] { return offload(pool, [] { return 5; }); }); }), 5);
    });
}

TEST(offload_pool, starts_threads_when_they_are_needed_and_uses_idle_ones_again) {
    offload_pool pool{{.idle_time = 1h}};
    run([&] {
        EXPECT_EQ(pool.thread_count(), 0U);
        for (int i = 0; i < 100; ++i)
            offload(pool, [] {});
        EXPECT_EQ(pool.thread_count(), 1U);
        std::barrier<> both{2};
        coir::task_group group;
        group.spawn([&] { offload(pool, [&] { both.arrive_and_wait(); }); });
        group.spawn([&] { offload(pool, [&] { both.arrive_and_wait(); }); });
        group.join();
        EXPECT_EQ(pool.thread_count(), 2U);
    });
}

// One idle thread does not do for both: it has been told of the first, and has perhaps not begun with it.
TEST(offload_pool, starts_a_thread_for_each_of_two_calls_at_once) {
    run([] {
        for (int i = 0; i < 100; ++i) {
            offload_pool pool{{.most_threads = 2}};
            offload(pool, [] {});
            std::barrier<> both{2};
            fiber<void> first = spawn([&] { offload(pool, [&] { both.arrive_and_wait(); }); });
            offload(pool, [&] { both.arrive_and_wait(); });
            first.join();
        }
    });
}

TEST(offload_pool, ends_idle_threads_and_starts_new_ones) {
    offload_pool pool{{.idle_time = 1ms}};
    run([&] {
        for (int i = 0; i < 3; ++i) {
            EXPECT_EQ(offload(pool, [i] { return i; }), i);
            await_end_of_threads(pool);
        }
    });
}

TEST(offload_pool, runs_at_most_so_many_calls_at_once_and_so_many_it_does) {
    offload_pool pool{{.most_threads = 3}};
    std::barrier<> all_three{3};
    std::atomic<int> running{0};
    run([&] {
        coir::task_group group;
        for (int i = 0; i < 12; ++i)
            group.spawn([&] {
                offload(pool, [&] {
                    EXPECT_LE(++running, 3);
                    all_three.arrive_and_wait();
                    --running;
                });
            });
    });
    EXPECT_EQ(pool.thread_count(), 3U);
}

TEST(offload_pool, serves_calls_in_their_order) {
    offload_pool pool{{.most_threads = 1}};
    std::string log;
    run([&] {
        coir::task_group group;
        for (char letter = 'a'; letter <= 'h'; ++letter)
            group.spawn([&, letter] { offload(pool, [&, letter] { log += letter; }); });
    });
    EXPECT_EQ(log, "abcdefgh");
}

TEST(offload_pool, names_its_threads_and_keeps_the_processes_signals_away_from_them) {
    offload_pool pool{{.name = "resolver of many names"}};
    run([&] {
        EXPECT_EQ(offload(pool, name_of_thread), "resolver of man");
        EXPECT_EQ(offload(name_of_thread), "coir-offload");
        sigset_t blocked;
        offload(pool, [&blocked] { ::pthread_sigmask(SIG_SETMASK, nullptr, &blocked); });
        EXPECT_EQ(sigismember(&blocked, SIGTERM), 1);
        EXPECT_EQ(sigismember(&blocked, SIGSEGV), 0);
        ::pthread_sigmask(SIG_SETMASK, nullptr, &blocked);
        EXPECT_EQ(sigismember(&blocked, SIGTERM), 0); // here as before
    });
}

TEST(offload, cancelled_while_the_function_runs_leaves_it_what_it_owns) {
    std::promise<std::thread::id> end_of_function;
    std::promise<std::thread::id> end_of_result;
    std::promise<std::thread::id> begin;
    std::promise<void> release;
    offload_pool pool;
    run([&] {
        fiber<void> waiter = spawn([&] {
            offload(pool, [&, end = tells_its_end{end_of_function}, go_on = release.get_future()] {
                begin.set_value(std::this_thread::get_id());
                go_on.wait();
                return tells_its_end{end_of_result};
            });
        });
        this_fiber::yield();
        const std::thread::id thread = begin.get_future().get(); // it runs
        waiter.cancel();
        EXPECT_THROW(waiter.join(), cancelled); // although it still does
        std::future<std::thread::id> function = end_of_function.get_future();
        EXPECT_EQ(function.wait_for(0s), std::future_status::timeout);
        release.set_value();
        EXPECT_EQ(function.get(), thread);
        EXPECT_EQ(end_of_result.get_future().get(), thread);
    });
}

TEST(offload, cancelled_before_the_function_has_begun_takes_it_back) {
    std::promise<std::thread::id> end;
    std::promise<void> release;
    bool called = false;
    offload_pool pool{{.most_threads = 1}};
    run([&] {
        const fiber<void> in_front = spawn([&] { offload(pool, [&] { release.get_future().wait(); }); });
        this_fiber::yield();
        fiber<void> waiter = spawn([&] { offload(pool, [&, end = tells_its_end{end}] { called = true; }); });
        this_fiber::yield();
        waiter.cancel();
        EXPECT_THROW(waiter.join(), cancelled);
        EXPECT_EQ(end.get_future().get(), std::this_thread::get_id());
        release.set_value();
        offload(pool, [] {}); // behind it
    });
    EXPECT_FALSE(called);
}

TEST(offload, in_a_cancelled_fiber_does_not_begin) {
    offload_pool pool;
    run([&] {
        coir::cancel_scope scope;
        EXPECT_FALSE(scope.run([&] {
            scope.cancel();
            offload(pool, [] { ADD_FAILURE(); });
        }));
        EXPECT_EQ(pool.thread_count(), 0U);
    });
}

TEST(offload, gives_up_at_its_deadline_and_at_those_around_it) {
    run([] {
        std::promise<void> release;
        const std::shared_future<void> released = release.get_future().share();
        const auto work = [released] { released.wait(); };
        try {
            offload(work, 1ms);
            FAIL();
        } catch (const std::system_error& error) {
            EXPECT_EQ(error.code(), std::errc::timed_out);
        }
        EXPECT_THROW(offload(work, coir::deadline::passed()), std::system_error);
        EXPECT_THROW(coir::with_timeout(1ms, [&] { offload(work); }), coir::timed_out);
        release.set_value();
        EXPECT_EQ(offload([] { return 1; }, 1h), 1);
    });
}

TEST(offload, behind_a_shield_may_borrow) {
    std::promise<void> begin;
    std::promise<void> release;
    run([&] {
        int borrowed = 0;
        fiber<int> waiter = spawn([&] {
            int local = 0;
            const coir::shield lent;
            offload([&] {
                begin.set_value();
                release.get_future().wait();
                local = 5;
            });
            borrowed = local;
            return local;
        });
        this_fiber::yield();
        begin.get_future().wait();
        waiter.cancel();
        release.set_value();
        EXPECT_EQ(waiter.join(), 5);
        EXPECT_EQ(borrowed, 5);
    });
}

// The end of the function, and cancellation, between two turns of the fiber that waits: in both orders.
TEST(offload, delivers_a_result_that_has_come_although_the_fiber_was_cancelled) {
    for (const bool ended_first : {false, true}) {
        offload_pool pool{{.idle_time = 0ns}};
        std::promise<void> release;
        run([&] {
            fiber<int> waiter = spawn([&] {
                return offload(pool, [&] {
                    release.get_future().wait();
                    return 5;
                });
            });
            this_fiber::yield(); // it waits
            if (!ended_first)
                waiter.cancel();
            release.set_value();
            await_end_of_threads(pool);
            if (ended_first)
                waiter.cancel();
            EXPECT_EQ(waiter.join(), 5);
        });
    }
}

// Loops on several threads share a pool; deadlines come about when the functions end.
TEST(offload, from_many_loops_with_deadlines_loses_nothing) {
    std::atomic<int> alive{0};
    struct counted {
        std::atomic<int>& alive;
        explicit counted(std::atomic<int>& count) : alive(count) { ++alive; }
        counted(const counted& other) : alive(other.alive) { ++alive; }
        counted& operator=(const counted&) = delete;
        ~counted() { --alive; }
    };
    std::atomic<int> ended{0};
    std::atomic<int> timed_out{0};
    {
        offload_pool pool{{.most_threads = 3, .idle_time = 100us}};
        const auto work = [&](unsigned seed) {
            run([&] {
                coir::task_group group;
                for (unsigned i = 0; i < 8; ++i)
                    group.spawn([&, own_seed = seed + i] {
                        std::minstd_rand random{own_seed};
                        for (int turn = 0; turn < 50; ++turn) {
                            try {
                                const auto time = std::chrono::microseconds{random() % 100};
                                offload(
                                    pool,
                                    [token = counted{alive}, time] {
                                        std::this_thread::sleep_for(time);
                                        return token;
                                    },
                                    std::chrono::microseconds{random() % 1000});
                                ++ended;
                            } catch (const std::system_error&) {
                                ++timed_out;
                            }
                        }
                    });
            });
        };
        std::thread other{work, 100};
        work(1);
        other.join();
    }
    EXPECT_EQ(ended + timed_out, 800);
    EXPECT_EQ(alive, 0);
}

} // namespace
