// No memory, at every place where some is asked for: what comes out is std::bad_alloc, and what has nobody to throw to goes on.
#include "child_process.hpp"
#include "failing_memory.hpp"

#include <coir/coir.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <exception>
#include <future>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>

namespace coir::test {
namespace {

using namespace std::chrono_literals;

constexpr auto* long_name = "a fiber whose name is longer than what a std::string keeps in itself";
constexpr auto* long_text = "a message that is longer than what a std::string keeps in itself";

// `work` in a loop of its own; what fails in it is over when run() returns.
template <class Work> void survives(Work work) {
    const loop_options large_stacks{.stack_size = 1024 * 1024}; // for the frames of AddressSanitizer
    EXPECT_GT(with_less_and_less_memory([&] { coir::run(work, large_stacks); }), 3);
    EXPECT_NO_THROW(coir::run(work, large_stacks));
}

TEST(without_memory, fibers_fail_to_spawn_or_run_to_their_end) {
    survives([] {
        auto one = spawn(fiber_options{.name = long_name}, [] { this_fiber::sleep_for(1ms); });
        auto other = spawn(fiber_options{.stack_size = 256 * 1024}, [] { this_fiber::yield(); });
        one.join();
        other.join(1s);
    });
}

TEST(without_memory, a_failure_that_nobody_joins_is_said_in_fewer_words) {
    const child_end end = in_child([] {
        coir::run([] {
            auto failed = spawn(fiber_options{.name = long_name}, [] { throw std::runtime_error(long_text); });
            failed.wait();
            const memory_limit none{0};
            auto dropped = std::move(failed);
        });
        return true;
    });
    EXPECT_TRUE(end.exited_well()) << end.errors;
    EXPECT_EQ(end.errors, "coir: a fiber failed and was never joined\n");
}

TEST(without_memory, a_detached_fiber_that_fails_is_reported) {
    const child_end end = in_child([] {
        coir::run([] {
            spawn(fiber_options{.name = long_name}, [] {
                const memory_limit none{0};
                throw std::bad_alloc{};
            }).detach();
            this_fiber::yield();
        });
        return true;
    });
    EXPECT_TRUE(end.was_killed_by(SIGABRT)) << end.errors;
    EXPECT_TRUE(end.says("coir: a detached fiber ends by an uncaught exception\n")) << end.errors;
}

TEST(without_memory, groups_throw_the_first_failure) {
    coir::run([] {
        task_group group;
        for (int i = 0; i < 3; ++i)
            group.spawn([] { throw std::runtime_error(long_text); });
        this_fiber::yield();
        const memory_limit none{0};
        EXPECT_THROW(group.join(), std::runtime_error);
    });
}

TEST(without_memory, groups_are_left_by_exceptions) {
    coir::run([] {
        const auto leave = [] {
            std::optional<memory_limit> none;
            task_group group;
            group.spawn([] {
                try {
                    this_fiber::sleep_for(1h);
                } catch (...) {
                    throw std::logic_error(long_text); // which is thrown nowhere
                }
            });
            this_fiber::yield();
            none.emplace(0);
            throw 1;
        };
        EXPECT_THROW(leave(), int);
        const auto leave_by_failure = [] {
            std::optional<memory_limit> none;
            task_group group;
            for (int i = 0; i < 2; ++i)
                group.spawn([] { throw std::runtime_error(long_text); });
            this_fiber::yield();
            none.emplace(0);
            this_fiber::sleep_for(1h);
        };
        EXPECT_THROW(leave_by_failure(), std::runtime_error);
    });
    survives([] {
        task_group group{.max_concurrent = 2};
        for (int i = 0; i < 5; ++i)
            group.spawn([] { this_fiber::sleep_for(10us); });
    });
}

// The first cancellation of a process; a detached fiber would end it if that were another exception.
TEST(without_memory, cancelling_needs_none) {
    const child_end end = in_child([] {
        std::optional<memory_limit> none;
        coir::run([&] {
            spawn([] { this_fiber::sleep_for(1h); }).detach();
            this_fiber::yield();
            none.emplace(0);
        });
        return true;
    });
    EXPECT_TRUE(end.exited_well()) << end.errors;
    EXPECT_EQ(end.errors, "");
}

TEST(without_memory, who_swallows_cancellation_is_cancelled_again) {
    coir::run([] {
        auto deaf = spawn(fiber_options{.name = long_name}, [] {
            for (int i = 0; i < 3; ++i)
                try {
                    this_fiber::sleep_for(1h);
                } catch (const cancelled&) {}
            this_fiber::sleep_for(1h);
        });
        this_fiber::yield();
        deaf.cancel();
        const memory_limit none{0};
        EXPECT_THROW(deaf.join(), cancelled);
    });
}

TEST(without_memory, deadlines_and_scopes_fail_to_begin_or_hold) {
    survives([] {
        EXPECT_FALSE(try_with_timeout(1us, [] { this_fiber::sleep_for(1h); }));
        const auto nested = [](auto& self, int levels) -> void {
            if (levels > 0)
                with_timeout(1h, [&] { self(self, levels - 1); });
        };
        nested(nested, 200);
    });
}

TEST(without_memory, a_broken_promise_is_noticed) {
    coir::run([] {
        std::optional<promise<int>> broken{std::in_place};
        future<int> never = broken->get_future();
        const memory_limit none{0};
        broken.reset();
        EXPECT_THROW(never.get(), std::bad_alloc); // std::future_error has a message
    });
    survives([] {
        auto made = async(fiber_options{.stack_size = 256 * 1024}, [] { return std::string(50, 'x'); });
        EXPECT_EQ(made.get().size(), 50U);
    });
}

TEST(without_memory, channels_and_broadcasts_lose_nothing) {
    survives([] {
        channel<std::string> messages{channel<std::string>::unbounded};
        std::size_t sent = 0;
        for (int i = 0; i < 100; ++i)
            try {
                messages.send(std::string(40, 'x'));
                ++sent;
            } catch (const std::bad_alloc&) {
                break;
            }
        EXPECT_EQ(messages.size(), sent);
        while (sent-- > 0)
            EXPECT_EQ(messages.receive()->size(), 40U);
        broadcast<std::string> news{4};
        auto subscription = news.subscribe();
        news.send(std::string(40, 'y'));
        EXPECT_EQ(subscription.receive()->size(), 40U);
    });
}

TEST(without_memory, a_channel_keeps_the_room_for_what_could_not_be_sent) {
    coir::run([] {
        channel<std::string> messages{1};
        {
            const memory_limit none{0};
            EXPECT_THROW(messages.send("x"), std::bad_alloc);
        }
        EXPECT_TRUE(messages.try_send("y"));
        EXPECT_EQ(messages.receive(), "y");
    });
}

TEST(without_memory, generators_and_context_variables_keep_their_values) {
    static const context_var<std::string> variable;
    survives([] {
        const auto numbers = [](int end) {
            return generator<int>([end](auto& yield) {
                for (int i = 0; i < end; ++i)
                    yield(i);
            });
        };
        generator<int> all = [&](auto& yield) { yield(elements_of(numbers(3))); };
        int sum = 0;
        for (const int each : all)
            sum += each;
        EXPECT_EQ(sum, 3);
        const auto bound = variable.bind(std::string(40, 'x'));
        spawn([] { EXPECT_EQ(variable->size(), 40U); }).join();
    });
    EXPECT_TRUE(variable->empty());
}

TEST(without_memory, threads_report_what_nobody_waits_for) {
    const child_end end = in_child([] {
        coir::run([] {
            event begun;
            event failing;
            offload_pool pool{{.most_threads = 1}};
            const auto fail = [&] {
                begun.set();
                failing.wait();
                static thread_local std::optional<memory_limit> none;
                none.emplace(0);
                throw std::bad_alloc{};
            };
            auto waits = spawn([&] { offload(pool, fail); });
            begun.wait();
            waits.cancel();
            EXPECT_THROW(waits.join(), cancelled);
            failing.set();
        });
        return true;
    });
    EXPECT_TRUE(end.exited_well()) << end.errors;
    EXPECT_EQ(end.errors, "coir: an offloaded function failed when nobody waited for it any more\n");
}

TEST(without_memory, fibers_in_a_deadlock_are_found) {
    const child_end end = in_child([] {
        const auto wait_for_ever = [] {
            event never;
            auto waits = spawn(fiber_options{.name = long_name}, [&] { never.wait(); });
            this_fiber::yield();
            const memory_limit none{0};
            waits.join();
        };
        EXPECT_THROW(coir::run(wait_for_ever), std::system_error);
        return true;
    });
    EXPECT_TRUE(end.exited_well()) << end.errors;
    EXPECT_TRUE(end.says("coir: is in a deadlock: nothing can wake it\n")) << end.errors;
}

} // namespace
} // namespace coir::test
