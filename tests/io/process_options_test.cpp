// What programs get beside arguments, environment and streams: further descriptors, their own id, a session.

#include "io/children.hpp"
#include "scratch_file.hpp"

#include <coir/io.hpp>
#include <coir/pipe.hpp>
#include <coir/run.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <climits>
#include <csignal>
#include <string>
#include <sys/syscall.h>
#include <system_error>
#include <utility>
#include <vector>

namespace {

using coir::run;
using coir::io::process;
using coir::io::process_options;
using coir::io::redirect;
using coir::test::bytes_of;
using coir::test::output_of;
using coir::test::raw;
using coir::test::rest_of;
using coir::test::scratch_file;
using coir::test::shell;
namespace io = coir::io;
using namespace std::chrono_literals;

class process_with : public coir::test::children {};

// What the descriptors of the program lead to, and which there are.
std::string paths_of(const std::vector<io::passed_descriptor>& passed) {
    std::string command = "cd /proc/self/fd; readlink";
    for (const auto& [ours, theirs] : passed)
        command += ' ' + std::to_string(theirs);
    return output_of(shell(command), {.descriptors = passed});
}

TEST_F(process_with, descriptors_under_the_numbers_that_were_asked_for) {
    const scratch_file first;
    const scratch_file second;
    const raw a{::open(first.path().c_str(), O_RDONLY | O_CLOEXEC)};
    const raw b{::open(second.path().c_str(), O_RDONLY | O_CLOEXEC)};
    const std::string lines = first.path() + '\n' + second.path() + '\n';
    run([&] {
        EXPECT_EQ(paths_of({{a.get(), 3}, {b.get(), 4}}), lines);
        EXPECT_EQ(paths_of({{a.get(), 9}, {b.get(), 7}}), lines);
        // Each in the place of the other; in its own place, which takes its mark close-on-exec away; one in two places.
        EXPECT_EQ(paths_of({{a.get(), b.get()}, {b.get(), a.get()}}), lines);
        EXPECT_EQ(paths_of({{a.get(), a.get()}, {b.get(), b.get()}}), lines);
        EXPECT_EQ(paths_of({{a.get(), b.get()}, {b.get(), b.get() + 1}, {a.get(), 500}}), lines + first.path() + '\n');
        // No others. The directory itself has the first number that is free.
        const process_options few{.descriptors = {{a.get(), 3}, {b.get(), 6}}};
        EXPECT_EQ(output_of({"ls", "/proc/self/fd"}, few), "0\n1\n2\n3\n4\n6\n");
    });
}

TEST_F(process_with, descriptors_that_stay_the_parents) {
    run([] {
        io::pipe_ends pipe = io::pipe();
        io::write_all(pipe.write.get(), bytes_of("through a pipe"));
        pipe.write.close();
        // As a standard stream, and as another descriptor.
        const process_options both{.input = redirect::to(pipe.read.get()),
                                   .descriptors = {{.ours = pipe.read.get(), .theirs = 5}}};
        EXPECT_EQ(output_of(shell("head -c 8; cat <&5"), both), "through a pipe");
        EXPECT_NE(::fcntl(pipe.read.get(), F_GETFL) & O_NONBLOCK, 0);
        EXPECT_NE(::fcntl(pipe.read.get(), F_GETFD) & FD_CLOEXEC, 0);
        // One of the first three.
        const raw before{::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3)};
        const scratch_file file{"of the parent"};
        const raw opened{::open(file.path().c_str(), O_RDONLY | O_CLOEXEC)};
        ::dup2(opened.get(), STDERR_FILENO);
        const std::string text = output_of(shell("cat <&4"), {.error = redirect::null(), .descriptors = {{2, 4}}});
        ::dup2(before.get(), STDERR_FILENO);
        EXPECT_EQ(text, "of the parent");
    });
}

std::string message_for(const std::vector<io::passed_descriptor>& passed) {
    return coir::test::message_of([&] { const process none{{"true"}, {.descriptors = passed}}; });
}

TEST_F(process_with, descriptors_that_cannot_be_passed) {
    const int closed = raw{::open("/dev/null", O_RDONLY | O_CLOEXEC)}.get();
    run([&] {
        EXPECT_EQ(message_for({{0, 3}, {0, 2}}), "run true: descriptor 2: Invalid argument");
        EXPECT_EQ(message_for({{0, 3}, {1, 3}}), "run true: descriptor 3: Invalid argument");
        EXPECT_EQ(message_for({{0, INT_MAX}}), "run true: descriptor 2147483647: Invalid argument");
        EXPECT_EQ(message_for({{0, 3}, {closed + 100, 4}}), "run true: descriptor 4: Bad file descriptor");
    });
}

TEST_F(process_with, a_variable_that_is_given_twice) {
    run([] {
        EXPECT_EQ(output_of({"env"}, {.environment = {"A=1", "B=1", "A=2", "AA=3", "B"}, .inherit_environment = false}),
                  "A=2\nAA=3\n");
    });
}

TEST_F(process_with, a_variable_without_a_name) {
    run([] {
        for (const char* const nameless : {"=value", "=", ""})
            EXPECT_EQ(coir::test::message_of([&] {
                          const process none{{"true"}, {.environment = {nameless}}};
                      }),
                      std::string("a variable without a name in the environment: '") + nameless +
                          "': Invalid argument");
    });
}

TEST_F(process_with, its_own_id_in_a_variable) {
    ::setenv("COIR_TEST_ID", "inherited", 1);
    run([] {
        process program{
            shell(
                "echo $COIR_TEST_ID $$; tr '\\0' '\\n' < /proc/$$/environ | grep -c COIR_TEST_ID"), // a shell passes on one
            {.output = redirect::pipe(), .environment = {"COIR_TEST_ID=given"}, .id_variable = "COIR_TEST_ID"}};
        const std::string id = std::to_string(program.id());
        EXPECT_EQ(rest_of(program.output()), id + ' ' + id + "\n1\n");
        EXPECT_TRUE(program.wait(20s).success());
        EXPECT_EQ(output_of({"env"}, {.inherit_environment = false, .id_variable = "A"}).find("A="), 0U);
        EXPECT_EQ(coir::test::thrown_by([] {
                      const process none{{"true"}, {.id_variable = "A=B"}};
                  }),
                  std::errc::invalid_argument);
    });
    ::unsetenv("COIR_TEST_ID");
}

// A shell that has a child; the pipe is at its end when both are gone.
struct family {
    explicit family(const std::string& command) {
        program = process{shell("sleep 1000 & echo started; " + command),
                          {.output = redirect::to(pipe.write.get()), .new_session = true}};
        pipe.write.close();
        std::array<std::byte, 8> line{};
        EXPECT_EQ(pipe.read.read_all(line, 20s), line.size());
    }
    [[nodiscard]] std::error_code end_of_all() {
        std::array<std::byte, 1> none{};
        return coir::test::error_of([&](std::error_code& error) { pipe.read.read_some(none, error, 20s); });
    }

    io::pipe_ends pipe = io::pipe();
    process program;
};

TEST_F(process_with, a_session_of_its_own) {
    run([] {
        // Process, group, session.
        const std::vector<std::string> seen{"cut", "-d ", "-f1,5,6", "/proc/self/stat"};
        process leader{seen, {.output = redirect::pipe(), .new_session = true}};
        const std::string id = std::to_string(leader.id());
        EXPECT_EQ(rest_of(leader.output()), id + ' ' + id + ' ' + id + '\n');
        EXPECT_TRUE(leader.wait(20s).success());
        const std::string ours = ' ' + std::to_string(::getpgrp()) + ' ' + std::to_string(::getsid(0)) + '\n';
        EXPECT_TRUE(output_of(seen).ends_with(ours));
    });
}

TEST_F(process_with, a_session_is_signalled_as_a_whole) {
    run([] {
        family ended{"wait"};
        ended.program.terminate();
        EXPECT_EQ(ended.end_of_all(), std::error_code{});
        EXPECT_EQ(ended.program.wait(20s).signal(), SIGTERM);
        ended.program.kill(); // nobody is there

        family killed{"wait"};
        EXPECT_EQ(coir::test::error_of([&](std::error_code& error) { killed.program.kill(1000, error); }),
                  std::errc::invalid_argument);
        killed.program = process{};
        EXPECT_EQ(killed.end_of_all(), std::error_code{});
    });
}

TEST_F(process_with, a_session_whose_leader_has_ended) {
    run([] {
        family left{"exit"};
        io::wait_readable(left.program.native_handle(), 20s); // it has ended; nobody has waited for it
        left.program = process{};
        EXPECT_EQ(left.end_of_all(), std::error_code{});

        family waited_for{"exit"};
        constexpr unsigned process_group = 1U << 2;
        if (::syscall(SYS_pidfd_send_signal, waited_for.program.native_handle(), 0, nullptr, process_group) == -1) {
            waited_for.program.kill();
            return; // before Linux 6.9
        }
        EXPECT_TRUE(waited_for.program.wait(20s).success());
        waited_for.program = process{};
        EXPECT_EQ(waited_for.end_of_all(), std::error_code{});
    });
}

} // namespace
