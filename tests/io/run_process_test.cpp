// Programs with all their input and output.

#include "io/children.hpp"

#include <coir/cancelled.hpp>
#include <coir/fiber.hpp>
#include <coir/run.hpp>
#include <coir/run_process.hpp>
#include <coir/this_fiber.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <sys/time.h>
#include <system_error>

namespace {

using coir::fiber;
using coir::run;
using coir::spawn;
using coir::io::process_result;
using coir::io::run_process;
using coir::io::run_process_error;
using coir::test::error_of;
using coir::test::shell;
using coir::test::thrown_by;
namespace io = coir::io;
namespace this_fiber = coir::this_fiber;
using namespace std::chrono_literals;

class run_process_test : public coir::test::children {};

TEST_F(run_process_test, returns_all_that_a_program_leaves) {
    run([] {
        const process_result result = run_process(shell("cat; echo err >&2; exit 4"), {.input = "in"}, 20s);
        EXPECT_EQ(result.status.code(), 4);
        EXPECT_EQ(result.output, "in");
        EXPECT_EQ(result.error, "err\n");
        EXPECT_EQ(run_process(shell("echo 1; echo 2 >&2; echo 3"), {.merge_error = true}, 20s).output, "1\n2\n3\n");
        EXPECT_EQ(run_process({"pwd"}, {.directory = "/"}, 20s).output, "/\n");
        EXPECT_EQ(run_process({"env"}, {.environment = {"A=1"}, .inherit_environment = false}, 20s).output, "A=1\n");
        EXPECT_TRUE(run_process({"true"}).status.success());
    });
}

std::string numbers(std::size_t size) {
    std::string text;
    while (text.size() < size)
        text += std::to_string(text.size()) + '\n';
    return text;
}

// Far more than a pipe holds.
TEST_F(run_process_test, moves_ten_mebibytes_both_ways) {
    run([] {
        const std::string input = numbers(std::size_t{10} << 20);
        const process_result result = run_process({"cat"}, {.input = input}, 60s);
        EXPECT_TRUE(result.status.success());
        EXPECT_TRUE(result.output == input);
    });
}

TEST_F(run_process_test, serves_three_full_pipes_at_once) {
    run([] {
        const std::string input = numbers(std::size_t{1} << 20);
        const process_result result = run_process(shell("tee /dev/fd/2"), {.input = input}, 60s);
        EXPECT_TRUE(result.status.success());
        EXPECT_TRUE(result.output == input);
        EXPECT_TRUE(result.error == input);
    });
}

// It would kill this test.
TEST_F(run_process_test, of_a_program_that_reads_nothing_raises_no_sigpipe) {
    struct sigaction now {};
    ::sigaction(SIGPIPE, nullptr, &now);
    ASSERT_EQ(now.sa_handler, SIG_DFL);
    run([] {
        const std::string input(std::size_t{1} << 20, 'x');
        EXPECT_TRUE(run_process({"true"}, {.input = input}, 20s).status.success());
        EXPECT_EQ(run_process(shell("exec <&-; echo done"), {.input = input}, 20s).output, "done\n");
    });
    sigset_t pending;
    ::sigpending(&pending);
    EXPECT_EQ(::sigismember(&pending, SIGPIPE), 0);
    sigset_t blocked;
    ::pthread_sigmask(SIG_BLOCK, nullptr, &blocked);
    EXPECT_EQ(::sigismember(&blocked, SIGPIPE), 0);
}

// That one is the program's own, which it may be waiting for.
TEST_F(run_process_test, leaves_a_sigpipe_that_is_pending) {
    sigset_t pipe;
    sigset_t before;
    ::sigemptyset(&pipe);
    ::sigaddset(&pipe, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &pipe, &before);
    ::raise(SIGPIPE);
    run([] { EXPECT_TRUE(run_process({"true"}, {.input = std::string(1U << 20, 'x')}, 20s).status.success()); });
    const timespec at_once{};
    EXPECT_EQ(::sigtimedwait(&pipe, nullptr, &at_once), SIGPIPE);
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

TEST_F(run_process_test, stops_at_the_limit_of_output) {
    run([] {
        EXPECT_EQ(run_process({"printf", "12345"}, {.most_output = 5}, 20s).output, "12345");
        EXPECT_EQ(run_process({"true"}, {.most_output = 0}, 20s).output, "");
        const std::string input(std::size_t{1} << 20, 'x');
        for (const char* const command : {"yes", "yes >&2", "yes & yes >&2 & wait"})
            try {
                run_process(shell(command), {.input = input, .most_output = 100'000}, 20s);
                ADD_FAILURE() << command;
            } catch (const run_process_error& failure) {
                EXPECT_EQ(failure.code(), std::errc::value_too_large);
                EXPECT_EQ(std::max(failure.partial().output.size(), failure.partial().error.size()), 100'000U);
                EXPECT_EQ(failure.partial().status.signal(), SIGKILL);
                EXPECT_EQ(failure.what(), "run /bin/sh: " + failure.code().message());
            }
    });
}

TEST_F(run_process_test, stops_at_the_deadline_with_what_has_come) {
    run([] {
        // They hold the pipes, or have closed them, or do not read, or were left behind by the program.
        const std::string input(std::size_t{1} << 20, 'x');
        for (const char* const command :
             {"echo x; exec sleep 1000", "echo x; exec >&- 2>&- <&-; exec sleep 1000", "echo x; sleep 3 & exit 0"}) {
            std::error_code error;
            const process_result result = run_process(shell(command), {.input = input}, error, 100ms);
            EXPECT_EQ(error, std::errc::timed_out) << command;
            EXPECT_EQ(result.output, "x\n") << command;
            EXPECT_TRUE(result.status.signal() == SIGKILL || result.status.success()) << command;
        }
        EXPECT_EQ(thrown_by([] { run_process({"sleep", "1000"}, {}, 5ms); }), std::errc::timed_out);
    });
}

TEST_F(run_process_test, can_be_cancelled_wherever_it_waits) {
    run([] {
        const std::string input(std::size_t{1} << 20, 'x');
        for (const char* const command : {"exec sleep 1000", "exec >&- 2>&-; exec sleep 1000", "cat; exec sleep 1000",
                                          "exec >&- 2>&- <&-; exec sleep 1000"}) {
            fiber<void> throwing = spawn([&] { run_process(shell(command), {.input = input}); });
            fiber<std::error_code> reporting = spawn(
                [&] { return error_of([&](auto& error) { run_process(shell(command), {.input = input}, error); }); });
            this_fiber::sleep_for(20ms);
            throwing.cancel();
            reporting.cancel();
            EXPECT_THROW(throwing.join(), coir::cancelled) << command;
            EXPECT_EQ(reporting.join(), std::errc::operation_canceled) << command;
        }
        // Before it begins.
        fiber<void> late = spawn([&] {
            std::error_code error;
            this_fiber::sleep_for(1h, error);
            run_process({"true"}, {}, error);
            EXPECT_EQ(error, std::errc::operation_canceled);
            run_process({"true"});
        });
        this_fiber::yield();
        late.cancel();
        EXPECT_THROW(late.join(), coir::cancelled);
    });
}

// SIGALRM every millisecond, for the parent: the programs inherit neither the timer nor the handler.
TEST_F(run_process_test, is_not_disturbed_by_a_storm_of_signals) {
    static volatile std::sig_atomic_t arrived = 0;
    struct sigaction counting {};
    struct sigaction before {};
    counting.sa_handler = [](int) { arrived = arrived + 1; };
    ::sigaction(SIGALRM, &counting, &before);
    const itimerval every{{0, 1'000}, {0, 1'000}};
    ::setitimer(ITIMER_REAL, &every, nullptr);
    run([] {
        const std::string input = numbers(std::size_t{1} << 20);
        for (int i = 0; i < 5; ++i) {
            const process_result result = run_process({"cat"}, {.input = input}, 60s);
            EXPECT_TRUE(result.status.success()) << result.status.to_string();
            EXPECT_TRUE(result.output == input);
        }
        EXPECT_EQ(thrown_by([] { run_process({"coir-no-such-program"}); }), std::errc::no_such_file_or_directory);
    });
    const itimerval never{};
    ::setitimer(ITIMER_REAL, &never, nullptr);
    ::sigaction(SIGALRM, &before, nullptr);
    EXPECT_GT(arrived, 5);
}

TEST_F(run_process_test, reports_what_cannot_be_started) {
    run([] {
        EXPECT_EQ(thrown_by([] { run_process({"coir-no-such-program"}); }), std::errc::no_such_file_or_directory);
        EXPECT_EQ(error_of([](auto& error) { run_process({"coir-no-such-program"}, {}, error); }),
                  std::errc::no_such_file_or_directory);
    });
    EXPECT_THROW(run_process({"true"}), std::logic_error);
    EXPECT_EQ(error_of([](auto& error) { run_process({"true"}, {}, error); }), std::errc::operation_not_permitted);
}

} // namespace
