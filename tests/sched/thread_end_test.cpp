// A thread that ends inside of run(), and a process that ends there (hazard G9).

#include "child_process.hpp"
#include "exits_in_fiber.hpp"

#include <coir/async.hpp>
#include <coir/channel.hpp>
#include <coir/context.hpp>
#include <coir/event.hpp>
#include <coir/fiber.hpp>
#include <coir/latch.hpp>
#include <coir/mutex.hpp>
#include <coir/run.hpp>
#include <coir/shared_mutex.hpp>
#include <coir/task_group.hpp>
#include <coir/this_fiber.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <memory>
#include <mutex>
#include <pthread.h>
#include <shared_mutex>
#include <string>
#include <thread>
#include <unistd.h>

namespace {

using coir::spawn;
namespace this_fiber = coir::this_fiber;
using namespace std::chrono_literals;

constexpr const char* verdict = "coir: the thread is ended by pthread_exit() or cancellation inside ";

/// How a process ends that calls `function` in a thread other than its first one; there it must not return.
child_end end_of(const std::function<void()>& function) {
    return in_child([&] {
        std::thread{function}.join();
        return true; // that thread has ended, and nobody has said anything
    });
}

void expect_death(const child_end& end, const std::string& where) {
    EXPECT_TRUE(end.was_killed_by(SIGABRT)) << end.status;
    EXPECT_TRUE(end.says(verdict + where)) << end.errors;
}

void leave_thread() {
    ::pthread_exit(nullptr);
}

/// With a fiber beside it that would be lost.
void run_beside_another(const std::function<void()>& function) {
    coir::run([&] {
        spawn([] { this_fiber::sleep_for(1h); }).detach();
        this_fiber::yield();
        function();
    });
}

TEST(thread_end, by_the_first_fiber) {
    const auto end = end_of([] { run_beside_another(leave_thread); });
    expect_death(end, "coir::run(), in fiber ");
    EXPECT_TRUE(end.says("\"main\"; fibers that would be lost: 2\n")) << end.errors;
}

TEST(thread_end, by_a_fiber_with_and_without_a_handle) {
    const auto joined = end_of([] { run_beside_another([] { spawn({.name = "joined"}, leave_thread).join(); }); });
    expect_death(joined, "coir::run(), in fiber ");
    EXPECT_TRUE(joined.says("\"joined\"; fibers that would be lost: 3")) << joined.errors;

    const auto detached = end_of([] {
        run_beside_another([] {
            spawn({.name = "detached"}, leave_thread).detach();
            this_fiber::sleep_for(1h);
        });
    });
    expect_death(detached, "coir::run(), in fiber ");
    EXPECT_TRUE(detached.says("\"detached\"; fibers that would be lost: 3")) << detached.errors;
}

TEST(thread_end, by_a_member_of_a_group_or_an_async) {
    const auto member = end_of([] {
        run_beside_another([] {
            coir::task_group group;
            group.spawn({.name = "member"}, leave_thread);
        });
    });
    expect_death(member, "coir::run(), in fiber ");
    EXPECT_TRUE(member.says("\"member\"; ")) << member.errors;

    const auto call = end_of([] { run_beside_another([] { coir::async(leave_thread).get(); }); });
    expect_death(call, "coir::run(), in fiber ");
}

TEST(thread_end, in_a_context) {
    const auto resume_one = [] {
        coir::context alone{[](coir::context::self& /*self*/) { leave_thread(); }};
        alone.resume();
    };
    const auto in_fiber = end_of([&] { run_beside_another(resume_one); });
    expect_death(in_fiber, "coir::run(), in fiber ");
    EXPECT_TRUE(in_fiber.says("\"main\"; ")) << in_fiber.errors;
    expect_death(end_of(resume_one), "a context, whose stack it cannot leave\n");
}

TEST(thread_end, by_cancellation_in_a_fiber) {
    expect_death(end_of([] {
                     run_beside_another([] {
                         ::pthread_cancel(::pthread_self());
                         ::pthread_testcancel();
                     });
                 }),
                 "coir::run(), in fiber ");
}

TEST(thread_end, by_cancellation_while_the_loop_sleeps) {
    const auto end = end_of([] {
        run_beside_another([] {
            ::pthread_cancel(::pthread_self());
            this_fiber::sleep_for(1h);
        });
    });
    expect_death(end, "coir::run(), while no fiber runs; fibers that would be lost: 2");
}

TEST(thread_end, of_the_first_thread) {
    expect_death(in_child([] {
                     run_beside_another(leave_thread);
                     return true;
                 }),
                 "coir::run(), in fiber ");
}

TEST(thread_end, is_reported_when_the_stack_has_been_unwound) {
    const auto end = end_of([] {
        run_beside_another([] {
            struct unwinding {
                ~unwinding() { [[maybe_unused]] const auto said = ::write(STDERR_FILENO, "unwound\n", 8); }
            };
            const unwinding local;
            leave_thread();
        });
    });
    expect_death(end, "coir::run(), in fiber ");
    EXPECT_EQ(end.errors.rfind("unwound\n", 0), 0U) << end.errors;
}

TEST(thread_end, after_run_is_nobodys_business) {
    const auto end = end_of([] {
        run_beside_another([] {});
        leave_thread();
    });
    EXPECT_TRUE(end.exited_well()) << end.status;
    EXPECT_EQ(end.errors, "");
    const auto failed = end_of([] {
        try {
            run_beside_another([] { throw 1; });
        } catch (int) {
            leave_thread();
        }
    });
    EXPECT_TRUE(failed.exited_well()) << failed.status;
    EXPECT_EQ(failed.errors, "");
}

TEST(thread_end, is_not_what_exit_is) {
    for (const bool in_first_thread : {true, false}) {
        const auto end = in_child([in_first_thread] {
            const auto leave = [] { run_beside_another([] { spawn([] { std::exit(42); }).join(); }); };
            if (in_first_thread)
                leave();
            else
                std::thread{leave}.join();
            return true;
        });
        EXPECT_TRUE(end.exited_with(42)) << end.status;
        EXPECT_EQ(end.errors, "");
    }
}

// On the stack of that fiber, while its loop is there.
TEST(thread_end, by_exit_destroys_static_objects_in_a_fiber) {
    const auto end = in_child([] {
        static coir::mutex mutex;
        struct locking {
            ~locking() {
                const std::lock_guard hold{mutex};
                this_fiber::sleep_for(1ms);
                [[maybe_unused]] const auto said = ::write(STDERR_FILENO, "still a fiber\n", 14);
            }
        };
        coir::run([] {
            static const locking last;
            const auto other = spawn([] {
                const std::lock_guard hold{mutex};
                this_fiber::sleep_for(1ms);
            });
            this_fiber::yield();
            std::exit(42);
        });
        return true;
    });
    EXPECT_TRUE(end.exited_with(42)) << end.status;
    EXPECT_EQ(end.errors, "still a fiber\n");
}

// The fibers are there as well, but will not run again, or know nothing of it.
TEST(thread_end, by_exit_destroys_static_objects_that_are_waited_for_and_held) {
    const auto use_all_and_call = [](const std::function<void()>& function) {
        static coir::mutex mutex;
        static coir::shared_mutex shared_mutex;
        static coir::event event;
        static coir::channel<int> channel;
        static const auto owned = std::make_unique<coir::latch>(1);
        coir::run([&] {
            spawn([] { event.wait(); }).detach();
            spawn([] { static_cast<void>(channel.receive()); }).detach();
            spawn([] { owned->wait(); }).detach();
            const std::lock_guard hold{mutex};
            const std::shared_lock share{shared_mutex};
            this_fiber::yield();
            function();
            this_fiber::sleep_for(1h);
        });
    };
    const auto leave = [] { std::exit(42); };
    const auto in_first_thread = in_child([&] {
        use_all_and_call(leave);
        return true;
    });
    const auto in_another = in_child([&] {
        std::thread{[&] { use_all_and_call(leave); }}.join();
        return true;
    });
    const auto in_first_while_another_runs = in_child([&] {
        std::atomic<bool> runs{false};
        std::thread other{[&] { use_all_and_call([&] { runs = true; }); }};
        while (!runs)
            std::this_thread::yield();
        leave();
        return true;
    });
    for (const child_end& end : {in_first_thread, in_another, in_first_while_another_runs}) {
        EXPECT_TRUE(end.exited_with(42)) << end.status;
        EXPECT_EQ(end.errors, "");
    }
}

} // namespace
