// How programs are started: arguments, environment, directory, streams, and what they do not inherit.

#include "io/children.hpp"
#include "scratch_folder.hpp"

#include <coir/cancelled.hpp>
#include <coir/fiber.hpp>
#include <coir/pipe.hpp>
#include <coir/run.hpp>
#include <coir/this_fiber.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <sys/resource.h>
#include <sys/stat.h>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace {

using coir::run;
using coir::io::process;
using coir::io::process_options;
using coir::io::redirect;
using coir::test::bytes_of;
using coir::test::in_child;
using coir::test::open_descriptors;
using coir::test::output_of;
using coir::test::rest_of;
using coir::test::shell;
using coir::test::thrown_by;
namespace io = coir::io;
using namespace std::chrono_literals;

class process_test : public coir::test::children {};

class scratch : public coir::test::scratch_folder {
public:
    std::string file(const std::string& name, const std::string& text, mode_t mode) const {
        const std::string made = path() / name;
        std::ofstream{made} << text;
        ::chmod(made.c_str(), mode);
        return made;
    }
};

TEST_F(process_test, gets_its_arguments_as_they_are) {
    run([] { EXPECT_EQ(output_of({"printf", "%s|", "a b", "", "$HOME", "*", "\n"}), "a b||$HOME|*|\n|"); });
}

TEST_F(process_test, inherits_adds_replaces_and_drops_variables) {
    ::setenv("COIR_TEST_KEPT", "kept", 1);
    ::setenv("COIR_TEST_GONE", "not this", 1);
    run([] {
        const auto seen = shell("echo $COIR_TEST_KEPT,$COIR_TEST_GONE,$COIR_TEST_NEW");
        EXPECT_EQ(output_of(seen), "kept,not this,\n");
        EXPECT_EQ(output_of(seen, {.environment = {"COIR_TEST_NEW=new=1", "COIR_TEST_GONE=else"}}),
                  "kept,else,new=1\n");
        EXPECT_EQ(output_of(seen, {.environment = {"COIR_TEST_GONE"}}), "kept,,\n");
        EXPECT_EQ(output_of({"env"}, {.environment = {"A=1", "B"}, .inherit_environment = false}), "A=1\n");
        EXPECT_EQ(output_of({"env"}, {.inherit_environment = false}), "");
    });
    ::unsetenv("COIR_TEST_KEPT");
    ::unsetenv("COIR_TEST_GONE");
}

TEST_F(process_test, runs_in_the_directory_it_is_given) {
    run([] {
        const scratch place;
        EXPECT_EQ(output_of({"pwd", "-P"}, {.directory = place.path()}),
                  std::filesystem::canonical(place.path()).string() + '\n');
        place.file("here", "#!/bin/sh\necho found", 0755);
        EXPECT_EQ(output_of({"./here"}, {.directory = place.path()}), "found\n"); // from there
    });
}

TEST_F(process_test, is_looked_for_in_the_path) {
    const std::string before = std::getenv("PATH");
    run([] {
        const scratch place;
        place.file("first", "", 0644); // not executable: the search goes on
        const scratch second;
        second.file("first", "#!/bin/sh\necho second", 0755);
        ::setenv("PATH", (place.path().string() + ":/nowhere::" + second.path().string()).c_str(), 1);
        EXPECT_EQ(output_of({"first"}), "second\n");
        ::setenv("PATH", (place.path().string() + ":/nowhere").c_str(),
                 1); // what is denied comes before what is not there
        EXPECT_EQ(thrown_by([] { process{{"first"}}; }), std::errc::permission_denied);
        EXPECT_EQ(thrown_by([] { process{{"second"}}; }), std::errc::no_such_file_or_directory);
        ::setenv("PATH", "/nowhere:", 1); // no name means: where the program begins
        EXPECT_EQ(output_of({"first"}, {.directory = second.path()}), "second\n");
        ::unsetenv("PATH");
        EXPECT_EQ(output_of({"echo", "x"}), "x\n");
    });
    ::setenv("PATH", before.c_str(), 1);
}

TEST_F(process_test, has_the_streams_that_were_asked_for) {
    run([] {
        process both{shell("read line; echo out $line; echo err $line >&2"),
                     {.input = redirect::pipe(), .output = redirect::pipe(), .error = redirect::pipe()}};
        both.input().write_all(bytes_of("1\n"));
        EXPECT_EQ(rest_of(both.output()), "out 1\n");
        EXPECT_EQ(rest_of(both.error()), "err 1\n");

        process merged{shell("echo out; echo err >&2"),
                       {.input = redirect::null(), .output = redirect::pipe(), .error = redirect::to_output()}};
        EXPECT_EQ(rest_of(merged.output()), "out\nerr\n");
        EXPECT_FALSE(merged.input());
        EXPECT_FALSE(merged.error());

        EXPECT_EQ(output_of({"cat"}, {.input = redirect::null()}), "");
        EXPECT_EQ(output_of(shell("echo lost >&2"), {.error = redirect::null()}), "");

        const coir::test::ends pipe = coir::test::make_pipe();
        process given{{"echo", "given"}, {.output = redirect::to(pipe.write.get())}};
        EXPECT_TRUE(given.wait(20s).success());
        std::array<std::byte, 6> text{};
        EXPECT_EQ(io::read_all(pipe.read.get(), text), text.size());
        EXPECT_EQ(coir::test::text_of(text), "given\n");
    });
}

// Hazard H4: the ends of io::pipe() are non-blocking, and the mode belongs to the open file.
TEST_F(process_test, gets_pipes_of_fibers_in_the_mode_that_programs_expect) {
    run([] {
        io::pipe_ends pipe = io::pipe();
        const auto mode_in_child = [&](const process_options& options) {
            process said{shell("cat /proc/self/fdinfo/1 >&2"), options};
            const std::string text = rest_of(said.error());
            EXPECT_TRUE(said.wait(20s).success());
            const auto flags = text.find("flags:");
            return flags == std::string::npos ? -1 : std::stoi(text.substr(flags + 6), nullptr, 8);
        };
        const int mode = mode_in_child({.output = redirect::to(pipe.write.get()), .error = redirect::pipe()});
        EXPECT_EQ(mode & O_ACCMODE, O_WRONLY);
        EXPECT_EQ(mode & O_NONBLOCK, 0);
        EXPECT_NE(::fcntl(pipe.write.get(), F_GETFL) & O_NONBLOCK, 0) << "ours has lost its mode";

        // A pipeline, with more than fits into a pipe.
        process first{shell("head -c 1000000 /dev/zero"), {.output = redirect::to(pipe.write.get())}};
        process second{{"wc", "-c"}, {.input = redirect::to(pipe.read.get()), .output = redirect::pipe()}};
        pipe = {};
        EXPECT_EQ(rest_of(second.output()), "1000000\n");
        EXPECT_TRUE(first.wait(20s).success());
    });
}

TEST_F(process_test, may_have_the_parents_streams_the_other_way_round) {
    EXPECT_EQ(
        in_child([] {
            const coir::test::ends pipe = coir::test::make_pipe();
            ::dup2(pipe.write.get(), 0);
            ::dup2(pipe.write.get(), 1);
            return run([&] {
                process crossed{shell("echo 1; echo 2 >&2"), {.output = redirect::to(0), .error = redirect::to(1)}};
                std::array<std::byte, 4> text{};
                io::read_all(pipe.read.get(), text, 20s);
                return crossed.wait().success() && coir::test::text_of(text) == "1\n2\n" ? 0 : 1;
            });
        }),
        0);
}

TEST_F(process_test, can_be_started_by_a_parent_without_standard_streams) {
    EXPECT_EQ(in_child([] {
                  return run([] {
                      for (const int number : {0, 1, 2}) // in here: the loop's own would take their places
                          ::close(number);
                      process program{{"cat"}, {.input = redirect::pipe(), .output = redirect::pipe()}};
                      program.input().write_all(bytes_of("x"));
                      program.input().close();
                      return rest_of(program.output()) == "x" && program.wait().success() ? 0 : 1;
                  });
              }),
              0);
}

TEST_F(process_test, inherits_no_other_descriptor) {
    run([] {
        std::array<int, 2> careless{}; // not close-on-exec
        ASSERT_EQ(::pipe(careless.data()), 0);
        // The directory itself is the fourth.
        EXPECT_EQ(output_of({"ls", "/proc/self/fd"}), "0\n1\n2\n3\n");
        ::close(careless[0]);
        ::close(careless[1]);
        // Nor do the programs that others start, by exec() alone.
        process program{{"cat"}, {.input = redirect::pipe(), .output = redirect::pipe()}};
        for (const io::descriptor* each : {&program.input(), &program.output()})
            EXPECT_EQ(::fcntl(each->get(), F_GETFD), FD_CLOEXEC);
    });
}

TEST_F(process_test, does_not_make_its_own_streams_non_blocking) {
    run([] {
        process program{shell("grep flags /proc/self/fdinfo/0 /proc/self/fdinfo/1"),
                        {.input = redirect::pipe(), .output = redirect::pipe()}};
        const std::string flags = rest_of(program.output());
        std::istringstream lines{flags};
        std::string file;
        int seen = 0;
        for (unsigned mode = 0; lines >> file >> std::oct >> mode; ++seen)
            EXPECT_EQ(mode & O_NONBLOCK, 0U) << flags;
        EXPECT_EQ(seen, 2) << flags;
    });
}

std::string after_colon(const std::string& text, const std::string& key) {
    const auto begin = text.find(key + ":\t");
    return begin == std::string::npos ? "" : text.substr(begin + key.size() + 2, 16);
}

TEST_F(process_test, begins_with_no_blocked_and_no_ignored_signals) {
    sigset_t some;
    sigset_t before;
    ::sigemptyset(&some);
    for (const int signal : {SIGTERM, SIGCHLD, SIGUSR1, SIGRTMIN + 3})
        ::sigaddset(&some, signal);
    ::pthread_sigmask(SIG_BLOCK, &some, &before);
    const auto old_pipe = std::signal(SIGPIPE, SIG_IGN);
    const auto old_hangup = std::signal(SIGHUP, SIG_IGN);
    run([] {
        const std::string status = output_of({"cat", "/proc/self/status"});
        EXPECT_EQ(after_colon(status, "SigBlk"), "0000000000000000");
        EXPECT_EQ(after_colon(status, "SigIgn"), "0000000000000000");
    });
    sigset_t after;
    ::pthread_sigmask(SIG_SETMASK, &before, &after);
    EXPECT_TRUE(::sigismember(&after, SIGTERM) == 1 && ::sigismember(&after, SIGINT) == 0); // the parent's is as it was
    std::signal(SIGPIPE, old_pipe);
    std::signal(SIGHUP, old_hangup);
}

std::string message_of(const std::vector<std::string>& arguments, const process_options& options = {}) {
    return coir::test::message_of([&] { process{arguments, options}; });
}

TEST_F(process_test, that_cannot_be_executed_is_an_error_that_names_it) {
    run([] {
        const scratch place;
        const std::string denied = place.file("denied", "", 0644);
        const std::string garbage = place.file("garbage", "\177ELF", 0755);
        const std::string orphan = place.file("orphan", "#!/nowhere/at/all", 0755);
        EXPECT_EQ(message_of({"coir-no-such-program", "x"}), "run coir-no-such-program: No such file or directory");
        EXPECT_EQ(message_of({denied}), "run " + denied + ": Permission denied");
        EXPECT_EQ(message_of({"/etc"}), "run /etc: Permission denied");
        EXPECT_EQ(message_of({garbage}), "run " + garbage + ": Exec format error");
        EXPECT_EQ(message_of({orphan}), "run " + orphan + ": No such file or directory");
        EXPECT_EQ(message_of({""}), "run : No such file or directory");
        EXPECT_EQ(message_of({"true", std::string(std::size_t{4} << 20, 'x')}), "run true: Argument list too long");
        EXPECT_EQ(message_of({"true"}, {.directory = "/nowhere"}),
                  "run true: change to the directory /nowhere: No such file or directory");
        EXPECT_EQ(message_of({"true"}, {.directory = "/etc/passwd"}),
                  "run true: change to the directory /etc/passwd: Not a directory");
        EXPECT_EQ(message_of({"true"}, {.error = redirect::to(1'000'000)}),
                  "run true: its standard error: Bad file descriptor");
        EXPECT_EQ(message_of({"true"}, {.input = redirect::to(-1)}),
                  "run true: its standard input: Bad file descriptor");
        EXPECT_EQ(thrown_by([] { process{{"true"}, {.output = redirect::to_output()}}; }), std::errc::invalid_argument);
        EXPECT_EQ(thrown_by([] { process{std::vector<std::string>{}}; }), std::errc::invalid_argument);
        const std::string cut("/\0b", 3);
        EXPECT_EQ(thrown_by([&] { process{{"true", cut}}; }), std::errc::invalid_argument);
        EXPECT_EQ(thrown_by([&] { process{{"true"}, {.directory = cut}}; }), std::errc::invalid_argument);
        EXPECT_EQ(thrown_by([&] { process{{"true"}, {.environment = {"A=" + cut}}}; }), std::errc::invalid_argument);
    });
}

TEST_F(process_test, waiting_without_a_program_says_so) {
    run([] {
        process gone{{"true"}};
        const process elsewhere{std::move(gone)};
        try {
            gone.wait(5s); // NOLINT(bugprone-use-after-move)
            ADD_FAILURE();
        } catch (const std::system_error& error) {
            EXPECT_EQ(error.code(), std::errc::invalid_argument);
            EXPECT_STREQ(error.what(), "io::process::wait: there is no program: it is empty, detached or moved from: "
                                       "Invalid argument");
        }
    });
}

TEST_F(process_test, reports_through_an_error_code) {
    std::error_code error;
    {
        const process outside{{"true"}, {}, error};
        EXPECT_EQ(error, std::errc::operation_not_permitted);
    }
    EXPECT_THROW(process{{"true"}}, std::logic_error);
    run([] {
        std::error_code failed;
        process none{{"/nowhere"}, {.input = redirect::pipe()}, failed};
        EXPECT_EQ(failed, std::errc::no_such_file_or_directory);
        EXPECT_FALSE(none);
        EXPECT_FALSE(none.input());
        EXPECT_EQ(none.id(), 0);
        none.wait(failed);
        EXPECT_EQ(failed, std::errc::invalid_argument);
        none.kill(SIGTERM, failed);
        EXPECT_EQ(failed, std::errc::invalid_argument);
        EXPECT_EQ(none.try_wait(), std::nullopt);
        process some{{"true"}, {}, failed};
        EXPECT_FALSE(failed);
        EXPECT_TRUE(some.wait(failed).success());
        auto cancelled = coir::spawn([] {
            std::error_code mine;
            coir::this_fiber::sleep_for(1h, mine);
            const process refused{{"true"}, {}, mine};
            EXPECT_EQ(mine, std::errc::operation_canceled);
            EXPECT_FALSE(refused);
            process{{"true"}};
        });
        coir::this_fiber::yield();
        cancelled.cancel();
        EXPECT_THROW(cancelled.join(), coir::cancelled);
    });
}

TEST_F(process_test, without_descriptors_leaves_none_open) {
    run([] {
        rlimit before{};
        ::getrlimit(RLIMIT_NOFILE, &before);
        const std::size_t open = open_descriptors();
        // From none to as many as are needed: it fails at each step once.
        int failures = 0;
        for (std::size_t more = 0;; ++more) {
            const int next = ::dup(0);
            ::close(next);
            rlimit tight = before;
            tight.rlim_cur = static_cast<rlim_t>(next) + more;
            ::setrlimit(RLIMIT_NOFILE, &tight);
            const std::error_code error = thrown_by([] {
                process program{{"true"},
                                {.input = redirect::pipe(), .output = redirect::pipe(), .error = redirect::null()}};
                EXPECT_TRUE(program.wait(20s).success());
            });
            ::setrlimit(RLIMIT_NOFILE, &before);
            EXPECT_EQ(open_descriptors(), open);
            if (!error)
                break;
            EXPECT_EQ(error, std::errc::too_many_files_open);
            ++failures;
            ASSERT_LT(failures, 50);
        }
        EXPECT_GE(failures, 6); // two pipes, /dev/null, the pidfd
    });
}

// What one thread makes for its child another thread's child must not get: it would keep a pipe open.
TEST_F(process_test, may_be_started_by_loops_of_several_threads) {
    std::vector<std::thread> threads;
    std::atomic<int> good{0};
    for (int i = 0; i < 4; ++i)
        threads.emplace_back([&] {
            run([&] {
                for (int round = 0; round < 10; ++round) {
                    process program{{"cat"}, {.input = redirect::pipe(), .output = redirect::pipe()}};
                    program.input().write_all(bytes_of("x"));
                    program.input().close();
                    good += rest_of(program.output()) == "x" && program.wait(20s).success() ? 1 : 0;
                }
            });
        });
    for (std::thread& each : threads)
        each.join();
    EXPECT_EQ(good, 40);
}

TEST_F(process_test, does_not_disturb_what_other_fibers_and_threads_do) {
    std::atomic<bool> done{false};
    std::thread busy{[&] {
        while (!done)
            std::vector<std::string>(100, std::string(100, 'x')).clear();
    }};
    run([&] {
        auto ticker = coir::spawn([&] {
            int ticks = 0;
            for (; !done; ++ticks)
                coir::this_fiber::sleep_for(100us);
            return ticks;
        });
        for (int i = 0; i < 20; ++i)
            EXPECT_TRUE(process{{"true"}}.wait(20s).success());
        done = true;
        EXPECT_GT(ticker.join(), 0);
    });
    busy.join();
}

} // namespace
