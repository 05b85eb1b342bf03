// How programs end, and who gets to know: wait(), kill(), the end of the scope, fork().

#include "io/children.hpp"

#include <coir/cancelled.hpp>
#include <coir/fiber.hpp>
#include <coir/run.hpp>
#include <coir/select.hpp>
#include <coir/semaphore.hpp>
#include <coir/task_group.hpp>
#include <coir/this_fiber.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <optional>
#include <stdexcept>
#include <string>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <system_error>
#include <utility>
#include <vector>

namespace {

using coir::fiber;
using coir::run;
using coir::spawn;
using coir::io::exit_status;
using coir::io::process;
using coir::io::redirect;
using coir::test::error_of;
using coir::test::in_child;
using coir::test::rest_of;
using coir::test::shell;
using coir::test::thrown_by;
namespace io = coir::io;
namespace this_fiber = coir::this_fiber;
using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;

class process_end : public coir::test::children {};

const std::vector<std::string> forever{"sleep", "1000"};

// Whether the kernel knows a process of this id, zombies included.
bool exists(int id) {
    return ::kill(id, 0) == 0;
}

TEST_F(process_end, is_told_as_it_was_and_again_and_again) {
    run([] {
        process failing{shell("exit 7")};
        for (int i = 0; i < 2; ++i) {
            const exit_status end = failing.wait(20s);
            EXPECT_TRUE(end.exited() && !end.signalled() && !end.success() && !end.core_dumped());
            EXPECT_EQ(end.code(), 7);
            EXPECT_EQ(end.to_string(), "exit code 7");
        }
        EXPECT_EQ(failing.try_wait(), failing.wait());

        process killed{shell("kill -USR1 $$")};
        const exit_status end = killed.wait(20s);
        EXPECT_TRUE(end.signalled() && !end.exited() && !end.success() && !end.core_dumped());
        EXPECT_EQ(end.signal(), SIGUSR1);
        EXPECT_EQ(end.code(), 0);
        EXPECT_EQ(end.to_string(), "signal 10 (User defined signal 1)");

        EXPECT_TRUE(process{{"true"}}.wait(20s).success());
        EXPECT_EQ(exit_status{}.to_string(), "unknown");
        EXPECT_FALSE(exit_status{}.exited() || exit_status{}.signalled() || exit_status{}.success());
    });
}

// What waitid(2) tells and what waitpid(2) would have told are not the same numbers.
TEST_F(process_end, with_a_core_dump_says_so) {
    const exit_status dumped = exit_status::from_native(SIGSEGV | 0x80);
    EXPECT_TRUE(dumped.core_dumped());
    EXPECT_EQ(dumped.signal(), SIGSEGV);
    EXPECT_EQ(dumped.to_string(), "signal 11 (Segmentation fault), core dumped");
}

TEST_F(process_end, is_waited_for_with_a_deadline_that_leaves_it_running) {
    run([] {
        process sleeper{forever};
        EXPECT_EQ(thrown_by([&] { sleeper.wait(5ms); }), std::errc::timed_out);
        EXPECT_EQ(error_of([&](auto& error) { sleeper.wait(error, coir::deadline::passed()); }), std::errc::timed_out);
        EXPECT_EQ(sleeper.try_wait(), std::nullopt);
        EXPECT_TRUE(exists(sleeper.id()));
        sleeper.terminate();
        EXPECT_EQ(sleeper.wait(20s).signal(), SIGTERM);
        EXPECT_EQ(sleeper.wait(coir::deadline::passed()).signal(), SIGTERM); // completion wins
    });
}

TEST_F(process_end, wait_can_be_cancelled_and_leaves_it_running) {
    run([] {
        process sleeper{forever};
        std::error_code seen;
        fiber<void> waiting = spawn([&] {
            sleeper.wait(seen);
            sleeper.wait();
        });
        this_fiber::yield();
        waiting.cancel();
        EXPECT_THROW(waiting.join(), coir::cancelled);
        EXPECT_EQ(seen, std::errc::operation_canceled);
        EXPECT_TRUE(exists(sleeper.id()));
    });
}

TEST_F(process_end, is_told_to_all_fibers_that_wait) {
    run([] {
        process program{shell("read line; exit 3"), {.input = redirect::pipe()}};
        std::vector<fiber<int>> waiting;
        for (int i = 0; i < 10; ++i)
            waiting.push_back(spawn([&] { return program.wait(20s).code(); }));
        fiber<int> impatient = spawn([&] {
            std::error_code error;
            program.wait(error, 1ms);
            return error == std::errc::timed_out ? 3 : 0;
        });
        fiber<std::size_t> selecting =
            spawn([&] { return coir::select(coir::after(20s), io::readable(program.native_handle())); });
        EXPECT_EQ(impatient.join(), 3);
        process moved = std::move(program); // they wait on
        program = std::move(moved);
        program.input().close();
        for (fiber<int>& each : waiting)
            EXPECT_EQ(each.join(), 3);
        EXPECT_EQ(selecting.join(), 1U);
    });
}

TEST_F(process_end, of_the_scope_kills_and_leaves_no_zombie) {
    run([] {
        int id = 0;
        {
            const process stubborn{shell("trap '' TERM INT HUP; exec sleep 1000")};
            id = stubborn.id();
            EXPECT_TRUE(exists(id));
        }
        EXPECT_FALSE(exists(id));
        {
            process stopped{forever};
            stopped.kill(SIGSTOP);
            id = stopped.id();
        }
        EXPECT_FALSE(exists(id));
        process one{forever};
        id = one.id();
        one = process{forever};
        EXPECT_FALSE(exists(id));
        EXPECT_TRUE(exists(one.id()));
    });
}

TEST_F(process_end, of_the_scope_comes_by_exceptions_and_cancellation_as_well) {
    run([] {
        int id = 0;
        EXPECT_THROW(
            [&] {
                const process sleeper{forever};
                id = sleeper.id();
                throw std::runtime_error("leaving");
            }(),
            std::runtime_error);
        EXPECT_FALSE(exists(id));
        fiber<void> owner = spawn([&] {
            process sleeper{forever};
            id = sleeper.id();
            sleeper.wait();
        });
        this_fiber::yield();
        EXPECT_TRUE(exists(id));
        owner.cancel();
        EXPECT_THROW(owner.join(), coir::cancelled);
        EXPECT_FALSE(exists(id));
        // An owner that has been cancelled, and leaves in the ordinary way.
        fiber<void> polite = spawn([&] {
            const process sleeper{forever};
            id = sleeper.id();
            std::error_code ignored;
            this_fiber::sleep_for(1h, ignored);
        });
        this_fiber::yield();
        polite.cancel();
        polite.wait();
        EXPECT_FALSE(exists(id));
    });
}

// The one that destroys it waits in the row of those who wait.
TEST_F(process_end, of_the_scope_tells_those_who_still_wait) {
    run([] {
        std::optional<process> program{std::in_place, forever};
        fiber<int> waiting = spawn([&] { return program->wait(20s).signal(); });
        this_fiber::yield();
        program.reset();
        EXPECT_EQ(waiting.join(), SIGKILL);
    });
}

// A process may be dead before anybody waits for it, so this asks again.
TEST_F(process_end, of_the_scope_lets_other_fibers_run) {
    run([] {
        bool ran = false;
        for (int attempts = 0; !ran && attempts < 1000; ++attempts) {
            bool ended = false;
            fiber<void> other;
            {
                const process sleeper{forever};
                other = spawn([&] { ran = !ended; });
            }
            ended = true;
            other.join();
        }
        EXPECT_TRUE(ran);
    });
}

TEST_F(process_end, may_come_after_the_loop) {
    std::optional<process> survivor;
    run([&] { survivor.emplace(forever); });
    const int id = survivor->id();
    EXPECT_EQ(survivor->try_wait(), std::nullopt);
    EXPECT_THROW(survivor->wait(), std::logic_error);
    EXPECT_EQ(error_of([&](auto& error) { survivor->wait(error); }), std::errc::operation_not_permitted);
    survivor.reset();
    EXPECT_FALSE(exists(id));
}

TEST_F(process_end, makes_signals_harmless) {
    run([] {
        process program{{"true"}};
        program.wait(20s);
        program.kill();
        program.terminate();
        EXPECT_FALSE(error_of([&](auto& error) { program.kill(SIGTERM, error); }));
        process zombie{{"true"}};
        io::wait_readable(zombie.native_handle(), 20s);
        zombie.kill();
        EXPECT_TRUE(zombie.wait().success());
        process sleeper{forever};
        EXPECT_EQ(thrown_by([&] { sleeper.kill(1000); }), std::errc::invalid_argument);
        sleeper.kill(SIGINT);
        EXPECT_EQ(sleeper.wait(20s).signal(), SIGINT);
    });
}

TEST_F(process_end, does_not_depend_on_the_streams) {
    run([] {
        process silent{shell("exec >&- <&-; exec sleep 1000"), {.input = redirect::pipe(), .output = redirect::pipe()}};
        EXPECT_EQ(rest_of(silent.output()), ""); // closed, and yet:
        EXPECT_EQ(thrown_by([&] { silent.wait(5ms); }), std::errc::timed_out);
        process talkative{shell("echo last words"), {.output = redirect::pipe()}};
        EXPECT_TRUE(talkative.wait(20s).success());
        EXPECT_EQ(rest_of(talkative.output()), "last words\n");
    });
}

TEST_F(process_end, detached_is_removed_later) {
    run([] {
        process program{shell("read line"), {.input = redirect::pipe()}};
        const int id = program.id();
        fiber<void> waiting = spawn([&] { program.wait(); });
        this_fiber::yield();
        program.detach(); // closes its input, so it ends
        EXPECT_FALSE(program);
        EXPECT_EQ(thrown_by([&] { waiting.join(); }), std::errc::bad_file_descriptor);
        const coir::deadline limit = 20s;
        while (exists(id) && !limit.has_passed())
            process{{"true"}}.wait();
        EXPECT_FALSE(exists(id));
    });
}

TEST_F(process_end, of_a_thousand_leaves_nothing) {
#if defined(COIR_ASAN)
    constexpr int programs = 100;
#else
    constexpr int programs = 1000;
#endif
    run([&] {
        int good = 0;
        coir::task_group group{.max_concurrent = 50};
        for (int i = 0; i < programs; ++i)
            group.spawn([&] { good += process{{"true"}}.wait(20s).success() ? 1 : 0; });
        group.join();
        EXPECT_EQ(good, programs);
        EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
        EXPECT_EQ(errno, ECHILD);
    });
}

bool knows_the_end_of_reaped() {
    int major = 0;
    int minor = 0;
    utsname system{};
    ::uname(&system);
    return std::sscanf(system.release, "%d.%d", &major, &minor) == 2 && (major > 6 || (major == 6 && minor >= 15));
}

// The error of wait(), or 0 and code 3.
int wait_for_code_3() {
    process program{shell("read line; exit 3"), {.input = redirect::pipe()}};
    program.input().close();
    std::error_code error;
    const exit_status end = program.wait(error, 20s);
    return error ? error.value() : end.code() == 3 ? 0 : -1;
}

TEST_F(process_end, is_noticed_where_sigchld_is_ignored) {
    const int expected = knows_the_end_of_reaped() ? 0 : ECHILD;
    const auto before = std::signal(SIGCHLD, SIG_IGN);
    run([expected] {
        for (int i = 0; i < 20; ++i)
            EXPECT_EQ(wait_for_code_3(), expected);
        EXPECT_EQ(thrown_by([] { process{{"/nowhere"}}; }), std::errc::no_such_file_or_directory);
        const process killed{forever};
    });
    std::signal(SIGCHLD, before);
}

TEST_F(process_end, is_noticed_where_a_handler_waits_for_all_children) {
    const int expected = knows_the_end_of_reaped() ? 0 : ECHILD;
    struct sigaction reaping {};
    struct sigaction before {};
    reaping.sa_handler = [](int) {
        const int saved = errno;
        while (::waitpid(-1, nullptr, WNOHANG) > 0) {}
        errno = saved;
    };
    ::sigaction(SIGCHLD, &reaping, &before);
    run([expected] {
        for (int i = 0; i < 20; ++i) {
            const int error = wait_for_code_3();
            EXPECT_TRUE(error == expected || error == 0) << error; // who is first?
        }
        const process killed{forever};
    });
    ::sigaction(SIGCHLD, &before, nullptr);
}

TEST_F(process_end, leaves_sigchld_to_the_program_around) {
    static volatile std::sig_atomic_t came = 0;
    const auto before = std::signal(SIGCHLD, [](int) { came = came + 1; });
    struct sigaction present {};
    run([&] {
        process{{"true"}}.wait(20s);
        ::sigaction(SIGCHLD, nullptr, &present);
    });
    EXPECT_GT(came, 0);
    EXPECT_NE(present.sa_handler, SIG_DFL);
    std::signal(SIGCHLD, before);
}

// Hazard D8: the objects are copied, the child processes are not the copy's.
void expect_not_the_affair_of_a_forked_child(bool new_session) {
    run([=] {
        std::optional<process> program{std::in_place, shell("read line; exit 3"),
                                       io::process_options{.input = redirect::pipe(), .new_session = new_session}};
        const int status = in_child([&] {
            int wrong = 0;
            wrong += error_of([&](auto& error) { program->wait(error, 1s); }) == std::errc::no_child_process ? 0 : 1;
            wrong +=
                error_of([&](auto& error) { program->kill(SIGKILL, error); }) == std::errc::no_child_process ? 0 : 2;
            wrong += program->try_wait() ? 4 : 0;
            program->detach();
            program.reset();
            process own{{"true"}};
            wrong += own.wait(20s).success() ? 0 : 8;
            return wrong;
        });
        EXPECT_EQ(status, 0);
        EXPECT_EQ(in_child([&] {
                      program.reset(); // without having called coir before
                      return 0;
                  }),
                  0);
        EXPECT_EQ(program->try_wait(), std::nullopt); // alive
        program->input().close();
        EXPECT_EQ(program->wait(20s).code(), 3);
    });
}

TEST_F(process_end, is_not_the_affair_of_a_forked_child) {
    expect_not_the_affair_of_a_forked_child(false);
    expect_not_the_affair_of_a_forked_child(true);
}

// The real parent does not get an end to see before the one that traces it has; much as with a process that hangs in
// the kernel.
TEST_F(process_end, that_does_not_come_is_not_waited_for) {
    run([] {
        std::optional<process> program{std::in_place, forever};
        const int id = program->id();
        const coir::test::ends ready = coir::test::make_pipe();
        const coir::test::ends done = coir::test::make_pipe();
        const pid_t tracer = coir::test::fork_dependent();
        if (tracer == 0) {
            char traced = ::ptrace(PTRACE_SEIZE, id, nullptr, nullptr) == 0 ? 'y' : 'n';
            if (::write(ready.write.get(), &traced, 1) != 1 || ::read(done.read.get(), &traced, 1) != 1)
                ::_exit(1);
            ::_exit(0); // lets go of it
        }
        std::array<std::byte, 1> traced{};
        io::read_all(ready.read.get(), traced, 20s);
        if (traced[0] == std::byte{'y'}) {
            program->kill();
            std::error_code error;
            program->wait(error, 50ms);
            EXPECT_EQ(error, std::errc::timed_out);
            fiber<void> waiting = spawn([&] { program->wait(); });
            this_fiber::sleep_for(15ms);
            waiting.cancel();
            EXPECT_THROW(waiting.join(), coir::cancelled);
            testing::internal::CaptureStderr();
            const auto start = clock::now();
            program.reset();
            EXPECT_LT(clock::now() - start, 15s);
            EXPECT_EQ(testing::internal::GetCapturedStderr(),
                      "coir: process " + std::to_string(id) +
                          " (sleep) was killed and does not end: it is left alone\n");
            EXPECT_TRUE(exists(id));
        }
        io::write_all(done.write.get(), coir::test::bytes_of("x"));
        while (::waitpid(tracer, nullptr, 0) == -1 && errno == EINTR) {}
        program.reset();
        const coir::deadline limit = 20s;
        while (exists(id) && !limit.has_passed())
            process{{"true"}}.wait();
        EXPECT_FALSE(exists(id));
    });
}

TEST_F(process_end, costs_no_time_while_waiting) {
    run([] {
        process sleeper{forever};
        rusage before{};
        rusage after{};
        ::getrusage(RUSAGE_SELF, &before);
        EXPECT_EQ(thrown_by([&] { sleeper.wait(200ms); }), std::errc::timed_out);
        ::getrusage(RUSAGE_SELF, &after);
        const auto used = [](const rusage& usage) {
            return std::chrono::seconds{usage.ru_utime.tv_sec + usage.ru_stime.tv_sec} +
                   std::chrono::microseconds{usage.ru_utime.tv_usec + usage.ru_stime.tv_usec};
        };
        EXPECT_LT(used(after) - used(before), 50ms);
    });
}

} // namespace
