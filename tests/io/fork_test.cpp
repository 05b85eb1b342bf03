// fork() in a fiber (hazard D8): the child has this fiber only, and the parent does not notice what the child does.

#include "child_process.hpp"
#include "descriptors.hpp"

#include <coir/async.hpp>
#include <coir/cancelled.hpp>
#include <coir/channel.hpp>
#include <coir/context.hpp>
#include <coir/descriptor.hpp>
#include <coir/event.hpp>
#include <coir/fiber.hpp>
#include <coir/io.hpp>
#include <coir/offload.hpp>
#include <coir/run.hpp>
#include <coir/semaphore.hpp>
#include <coir/shared_mutex.hpp>
#include <coir/this_fiber.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <linux/kcmp.h>
#include <memory>
#include <mutex>
#include <sched.h>
#include <string>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <vector>

namespace {

using coir::spawn;
using coir::test::ends;
using coir::test::make_pipe;
namespace io = coir::io;
namespace this_fiber = coir::this_fiber;
using namespace std::chrono_literals;

/// Waits without blocking the loop, as a parent does that has other fibers.
int status_of(pid_t child) {
    int status = 0;
    while (::waitpid(child, &status, WNOHANG) == 0)
        this_fiber::sleep_for(100us);
    return status;
}

bool ended_well(pid_t child) {
    return status_of(child) == 0;
}

/// Runs `function` in a child of this fiber; the child ends well if it returns true.
template <class Function> pid_t fork_to(Function function) {
    const pid_t child = ::fork();
    if (child == 0) {
        bool good = false;
        try {
            good = function();
        } catch (...) {}
        ::_exit(good ? 0 : 1);
    }
    return child;
}

std::byte read_byte(int descriptor) {
    std::byte letter{};
    return io::read_some(descriptor, std::span{&letter, 1}, 5s) == 1 ? letter : std::byte{};
}

void write_byte(int descriptor, char letter) {
    const auto byte = static_cast<std::byte>(letter);
    io::write_all(descriptor, std::span{&byte, 1}, 5s);
}

/// The sort of things that a program with fibers does.
bool fibers_work() {
    const ends pipe = make_pipe();
    int sum = 0;
    auto reader = spawn([&] {
        for (int i = 0; i < 3; ++i)
            sum += static_cast<int>(read_byte(pipe.read.get()));
    });
    auto sleeper = spawn([&] { this_fiber::sleep_for(3ms); });
    for (int i = 0; i < 3; ++i) {
        this_fiber::sleep_for(1ms);
        write_byte(pipe.write.get(), 7);
    }
    reader.join();
    sleeper.join();
    return sum == 21;
}

TEST(fork, leaves_the_child_a_loop_that_works) {
    coir::run([] {
        EXPECT_TRUE(ended_well(fork_to(fibers_work)));
        EXPECT_TRUE(fibers_work());
    });
}

TEST(fork, leaves_the_child_the_calling_fiber_and_no_other) {
    coir::run([] {
        const pid_t parent = ::getpid();
        int ran_in_parent = 0;
        bool ran_in_child = false;
        const ends pipe = make_pipe();
        const auto note = [&] {
            ran_in_parent += ::getpid() == parent ? 1 : 0;
            ran_in_child = ran_in_child || ::getpid() != parent;
        };
        std::vector<coir::fiber<void>> others;
        others.push_back(spawn([&] {
            this_fiber::sleep_for(2ms);
            note();
        }));
        others.push_back(spawn([&] {
            read_byte(pipe.read.get());
            note();
        }));
        others.push_back(spawn([&] {
            others.front().wait();
            note();
        }));
        this_fiber::yield(); // these wait, the next ones are ready
        others.push_back(spawn([&] { note(); }));
        spawn([&] { note(); }).detach();
        const pid_t child = fork_to([&] {
            write_byte(pipe.write.get(), 'x'); // wakes the parent's reader, the pipe being one
            this_fiber::sleep_for(20ms);
            return fibers_work() && !ran_in_child;
        });
        EXPECT_TRUE(ended_well(child));
        for (auto& each : others)
            each.join();
        EXPECT_EQ(ran_in_parent, 5);
        EXPECT_FALSE(ran_in_child);
    });
}

TEST(fork, makes_dropped_fibers_look_cancelled) {
    coir::run([] {
        auto waiting = spawn([] { this_fiber::sleep_for(5ms); });
        this_fiber::yield();
        auto ready = spawn([] { return 1; });
        auto destroyed = spawn([] { this_fiber::sleep_for(5ms); });
        const auto end = in_child([&] {
            const auto is_cancelled = [](auto& joined) {
                try {
                    joined.join();
                } catch (const coir::cancelled&) {
                    return true;
                }
                return false;
            };
            destroyed = {};
            return is_cancelled(waiting) && is_cancelled(ready);
        });
        EXPECT_TRUE(end.exited_well()) << end.status;
        EXPECT_EQ(end.errors, "");
        waiting.join();
        EXPECT_EQ(ready.join(), 1);
    });
}

// The first call of coir in the child is what finds out that it is one.
TEST(fork, lets_the_childs_first_call_be_one_that_wakes) {
    coir::run([] {
        coir::binary_semaphore semaphore{0};
        coir::channel<int> messages{1};
        coir::shared_mutex mutex;
        auto acquirer = spawn([&] { semaphore.acquire(); });
        auto receiver = spawn([&] { EXPECT_EQ(messages.receive(), 7); });
        mutex.lock_shared();
        auto writer = spawn([&] { const std::lock_guard hold{mutex}; });
        this_fiber::yield();

        EXPECT_TRUE(ended_well(fork_to([&] {
            semaphore.release();
            return semaphore.try_acquire();
        })));
        EXPECT_TRUE(ended_well(fork_to([&] {
            messages.send(1);
            return messages.try_receive() == 1;
        })));
        EXPECT_TRUE(ended_well(fork_to([&] {
            mutex.unlock_shared();
            return mutex.try_lock();
        })));

        semaphore.release();
        messages.send(7);
        mutex.unlock_shared();
        acquirer.join();
        receiver.join();
        writer.join();
    });
}

TEST(fork, lets_the_child_return_from_run) {
    const pid_t parent = ::getpid();
    const pid_t child = coir::run([] {
        const auto sleeper = spawn([] { this_fiber::sleep_for(1h); });
        this_fiber::yield();
        const pid_t forked = ::fork();
        if (forked == 0)
            spawn([] { this_fiber::sleep_for(1h); }).detach(); // to be cancelled at the end
        return forked;
    });
    if (::getpid() != parent)
        ::_exit(coir::run([] { return fibers_work() ? 0 : 1; }));
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
}

TEST(fork, lets_the_child_return_from_run_without_having_called_coir) {
    const pid_t parent = ::getpid();
    const pid_t child = coir::run([] {
        spawn([] { this_fiber::sleep_for(1ms); }).detach();
        return ::fork();
    });
    if (::getpid() != parent)
        ::_exit(0);
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
}

TEST(fork, of_a_child_that_has_not_called_coir_leaves_the_grandchild_the_fiber) {
    coir::run([] {
        const auto sleeper = spawn([] { this_fiber::sleep_for(1h); });
        this_fiber::yield();
        const pid_t child = ::fork();
        if (child == 0) {
            const pid_t grandchild = fork_to(fibers_work);
            int status = 0;
            ::waitpid(grandchild, &status, 0);
            ::_exit(status == 0 && fibers_work() ? 0 : 1);
        }
        EXPECT_TRUE(ended_well(child));
    });
}

/// coir::run() of `body`, in which another fiber than the first forks, and which returns how the child has ended. The child must end
/// run() by cancelled: the first fiber's result is never known there.
template <class Body> int status_of_cancelled_child(Body body) {
    const pid_t parent = ::getpid();
    bool cancelled = false;
    int status = -1;
    try {
        status = coir::run(body);
    } catch (const coir::cancelled&) {
        cancelled = true;
    }
    if (::getpid() != parent)
        ::_exit(cancelled ? 0 : 1);
    EXPECT_FALSE(cancelled);
    return status;
}

TEST(fork, of_another_than_the_first_fiber_ends_run_by_cancelled_in_the_child) {
    const int status = status_of_cancelled_child([] {
        auto forker = spawn([] {
            const pid_t child = ::fork();
            if (child == 0)
                this_fiber::sleep_for(1ms);
            return child;
        });
        return status_of(forker.join());
    });
    EXPECT_EQ(status, 0);
}

// Those who waited for its end do not exist there: nothing of them is touched when it ends.
TEST(fork, of_a_fiber_that_others_wait_for_leaves_none_of_them_to_be_woken) {
    const int status = status_of_cancelled_child([] {
        coir::event go;
        std::vector<coir::fiber<void>> waiting;
        auto forker = spawn([&] {
            go.wait();
            const pid_t child = ::fork();
            if (child == 0)
                waiting.clear();
            return child;
        });
        this_fiber::yield();
        for (int i = 0; i < 500; ++i)
            waiting.push_back(spawn([&] { forker.wait(); }));
        this_fiber::yield();
        go.set();
        const int ended = status_of(forker.join());
        for (auto& each : waiting)
            each.join();
        return ended;
    });
    EXPECT_EQ(status, 0);
}

/// The process has `number` open on the same file as this one. Unknown: not allowed to ask.
enum class answer { no, yes, unknown };
answer is_shared_with(pid_t process, int number) {
    const long result = ::syscall(SYS_kcmp, ::getpid(), process, KCMP_FILE, number, number);
    if (result == -1)
        return errno == EBADF ? answer::no : answer::unknown;
    return result == 0 ? answer::yes : answer::no;
}

/// Descriptors of the kernel's that a loop has: epoll, eventfd, timerfd.
std::vector<int> descriptors_of_loops() {
    std::vector<int> numbers;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
        std::error_code gone;
        const std::string what = std::filesystem::read_symlink(entry.path(), gone).string();
        for (const char* const kind : {"[eventpoll]", "[eventfd]", "[timerfd]"})
            if (what.find(kind) != std::string::npos)
                numbers.push_back(std::stoi(entry.path().filename().string()));
    }
    return numbers;
}

// True, too, where it cannot be told.
bool shares_none_with(pid_t parent) {
    const std::vector<int> numbers = descriptors_of_loops();
    for (const int number : numbers)
        if (is_shared_with(parent, number) == answer::yes)
            return false;
    return numbers.size() >= 3;
}

TEST(fork, leaves_no_descriptor_of_a_loop_shared) {
    coir::run([] {
        if (is_shared_with(::getpid(), 0) == answer::unknown)
            GTEST_SKIP() << "kcmp is not allowed here";
        const pid_t parent = ::getpid();
        EXPECT_FALSE(shares_none_with(parent)); // the parent itself: the test sees what it looks for
        const auto sleeper = spawn([] { this_fiber::sleep_for(1h); });
        EXPECT_TRUE(ended_well(fork_to([&] {
            this_fiber::yield();
            if (!shares_none_with(parent))
                return false;
            this_fiber::sleep_for(1ms); // libev has made its own epoll since
            return shares_none_with(parent);
        })));
    });
}

TEST(fork, gives_up_the_descriptors_of_other_threads_loops) {
    if (is_shared_with(::getpid(), 0) == answer::unknown)
        GTEST_SKIP() << "kcmp is not allowed here";
    std::atomic<bool> running{false};
    std::atomic<bool> done{false};
    std::thread other{[&] {
        coir::run([&] {
            running = true;
            while (!done)
                this_fiber::sleep_for(1ms);
        });
    }};
    while (!running)
        std::this_thread::yield();
    coir::run([] { // on this thread, beside the other
        const pid_t parent = ::getpid();
        EXPECT_TRUE(ended_well(fork_to([&] { return fibers_work() && shares_none_with(parent); })));
    });
    const pid_t child = ::fork(); // where this thread has no loop
    if (child == 0)
        ::_exit(descriptors_of_loops().empty() && coir::run(fibers_work) ? 0 : 1);
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
    done = true;
    other.join();
}

// Dropped fibers are still in the lists of what they waited for.
TEST(fork, lets_the_child_read_where_a_dropped_fiber_was_waiting) {
    coir::run([] {
        const ends pipe = make_pipe();
        auto first = spawn([&] { return read_byte(pipe.read.get()); });
        auto second = spawn([&] { return read_byte(pipe.read.get()); });
        this_fiber::yield();
        this_fiber::sleep_for(1ms); // libev watches it
        EXPECT_TRUE(ended_well(fork_to([&] {
            auto writer = spawn([&] {
                this_fiber::sleep_for(2ms);
                write_byte(pipe.write.get(), 'c');
            });
            // In the parent two fibers wait for the same pipe: it may be one of them who gets it.
            std::byte letter{};
            std::error_code error;
            io::read_some(pipe.read.get(), std::span{&letter, 1}, error, 50ms);
            writer.join();
            return !error || error == std::errc::timed_out;
        })));
        for (int i = 0; i < 2; ++i)
            write_byte(pipe.write.get(), 'p');
        EXPECT_NE(first.join(), std::byte{});
        EXPECT_NE(second.join(), std::byte{});
    });
}

// Closing a descriptor takes it out of epoll, which must not be the parent's.
TEST(fork, lets_the_child_close_what_the_parent_waits_for) {
    coir::run([] {
        ends pipe = make_pipe();
        io::descriptor mine{pipe.read.take()};
        auto reader = spawn([&] { return read_byte(mine.get()); });
        this_fiber::yield();
        this_fiber::sleep_for(1ms);
        EXPECT_TRUE(ended_well(fork_to([&] {
            mine.close();
            return fibers_work();
        })));
        write_byte(pipe.write.get(), 'x');
        EXPECT_EQ(reader.join(), std::byte{'x'});
    });
}

TEST(fork, does_not_disturb_the_parent_in_thousands) {
#if defined(COIR_ASAN)
    constexpr int fewest = 50;
    constexpr int most = 50;
#else
    constexpr int fewest = 2'000;
    constexpr int most = 10'000; // where 10 seconds are enough
#endif
    const auto end = std::chrono::steady_clock::now() + 10s;
    coir::run([&] {
        ends there = make_pipe();
        ends back = make_pipe();
        bool done = false;
        auto echo = spawn([&] {
            while (!done)
                write_byte(back.write.get(), static_cast<char>(read_byte(there.read.get())));
        });
        auto ticker = spawn([&] {
            int ticks = 0;
            while (!done) {
                this_fiber::sleep_for(100us);
                ++ticks;
            }
            return ticks;
        });
        int good = 0;
        int forks = 0;
        for (int i = 0; !done; ++i) {
            const pid_t child = fork_to([&] {
                if (i % 3 == 0)
                    this_fiber::sleep_for(10us);
                return i % 50 != 0 || fibers_work();
            });
            ++forks;
            done = forks == most || (forks >= fewest && std::chrono::steady_clock::now() >= end);
            write_byte(there.write.get(), static_cast<char>(i));
            EXPECT_EQ(read_byte(back.read.get()), static_cast<std::byte>(i));
            good += ended_well(child) ? 1 : 0;
        }
        echo.join();
        EXPECT_GT(ticker.join(), 0);
        EXPECT_EQ(good, forks);
    });
}

TEST(fork, of_a_context_pool_in_use_by_another_thread_leaves_it_usable) {
    std::atomic<bool> done{false};
    std::thread other{[&] {
        while (!done)
            coir::context{[](coir::context::self&) {}}.resume();
    }};
    for (int i = 0; i < 100; ++i) {
        const pid_t child = ::fork();
        if (child == 0) {
            ::alarm(10);
            bool ran = false;
            coir::context{[&](coir::context::self&) { ran = true; }}.resume();
            ::_exit(ran ? 0 : 1);
        }
        int status = 0;
        ::waitpid(child, &status, 0);
        EXPECT_EQ(status, 0);
    }
    done = true;
    other.join();
}

TEST(fork, leaves_the_child_pools_without_the_threads_of_the_parent) {
    coir::run([] {
        coir::offload_pool own{{.most_threads = 1}};
        std::atomic<bool> done{false};
        const auto until_done = [&] {
            while (!done)
                ::sched_yield();
        };
        // The only thread is busy, and a call is in the queue.
        auto running = spawn([&] { coir::offload(own, until_done); });
        auto waiting = spawn([&] { coir::offload(own, [] {}); });
        this_fiber::yield();
        EXPECT_EQ(own.thread_count(), 1U);
        EXPECT_TRUE(ended_well(fork_to([&] {
            coir::offload_pool another;
            return own.thread_count() == 0 &&
                   coir::offload(
                       own, [] { return 1; }, 5s) == 1 &&
                   coir::offload([] { return 2; }, 5s) == 2 &&
                   coir::offload(
                       another, [] { return 3; }, 5s) == 3;
        })));
        EXPECT_TRUE(ended_well(fork_to([&] {
            std::destroy_at(&own); // waits for its threads
            return true;
        })));
        done = true;
        running.join();
        waiting.join();
        EXPECT_EQ(coir::offload(own, [] { return 4; }), 4);
    });
}

TEST(fork, while_other_threads_offload_leaves_the_pools_usable) {
    coir::offload_pool pool{{.most_threads = 2}};
    std::atomic<bool> done{false};
    std::thread other{[&] {
        while (!done)
            coir::offload(pool, [] {});
    }};
    for (int i = 0; i < 100; ++i) {
        const pid_t child = ::fork();
        if (child == 0) {
            ::alarm(10);
            ::_exit(coir::offload(pool, [] { return 7; }) - 7);
        }
        int status = 0;
        ::waitpid(child, &status, 0);
        EXPECT_EQ(status, 0);
    }
    done = true;
    other.join();
}

TEST(fork, without_its_handlers_is_recognised_before_harm_is_done) {
    coir::run([] {
        const ends pipe = make_pipe();
        auto reader = spawn([&] { return read_byte(pipe.read.get()); });
        this_fiber::yield();
        const ends errors = make_pipe();
        const auto child = static_cast<pid_t>(::syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
        if (child == 0) {
            ::dup2(errors.write.get(), STDERR_FILENO);
            std::signal(SIGABRT, SIG_DFL);
            this_fiber::sleep_for(1ms);
            ::_exit(0);
        }
        const int status = status_of(child);
        EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT) << status;
        std::array<std::byte, 500> text{};
        const std::size_t size = io::read_some(errors.read.get(), text, 1s);
        EXPECT_NE(std::string(reinterpret_cast<const char*>(text.data()), size).find("clone()"), std::string::npos);
        write_byte(pipe.write.get(), 'x');
        EXPECT_EQ(reader.join(), std::byte{'x'});
    });
}

TEST(fork, ends_asynchronous_calls_that_do_not_go_on_in_the_child) {
    coir::run([] {
        coir::future<int> parents = coir::async([] {
            this_fiber::sleep_for(20ms);
            return 1;
        });
        coir::future<int> not_started = coir::async([] { return 2; });
        const pid_t child = fork_to([&] {
            for (coir::future<int>* each : {&parents, &not_started})
                try {
                    each->get();
                    return false;
                } catch (const coir::cancelled&) {}
            return coir::async([] { return 3; }).get() == 3;
        });
        EXPECT_TRUE(ended_well(child));
        EXPECT_EQ(parents.get(), 1);
        EXPECT_EQ(not_started.get(), 2);
    });
}

} // namespace
