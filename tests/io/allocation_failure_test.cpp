// No memory for a stack's guard, or in epoll: calls that need it fail, and do not wait for what will never come.
#include "child_process.hpp"
#include "refused_guards.hpp"
#include "stack/guard.hpp"

#include <coir/coir.hpp>

#include <gtest/gtest.h>

#include <cerrno>
#include <chrono>
#include <string>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

bool epoll_is_full = false;

} // namespace

// A function in the program comes before the C library's.
extern "C" int epoll_ctl(int epoll, int operation, int number, epoll_event* event) noexcept {
    if (epoll_is_full && operation == EPOLL_CTL_ADD) {
        errno = ENOMEM;
        return -1;
    }
    return static_cast<int>(::syscall(SYS_epoll_ctl, epoll, operation, number, event));
}

namespace coir::test {
namespace {

using namespace std::chrono_literals;

// Not even when what the program reads would fill a pipe.
TEST(without_memory, run_process_does_not_wait_for_a_reader_that_could_not_begin) {
    const child_end end = in_child([] {
        if (detail::available_guard() == detail::guard_kind::protection)
            return true; // stacks that are promised have their guards
        return coir::run([] {
            refuse_guards();
            std::error_code error;
            const std::string input(1 << 20U, 'x');
            io::run_process({"/bin/cat"}, {.input = input}, error);
            return error == std::errc::not_enough_memory;
        });
    });
    EXPECT_TRUE(end.exited_well()) << end.errors;
    EXPECT_EQ(end.errors, "");
}

TEST(without_memory, a_process_is_killed_and_its_end_awaited) {
    const child_end end = in_child([] {
        coir::run([] {
            const io::process sleeping{{"/bin/sleep", "1000"}};
            epoll_is_full = true;
        });
        errno = 0;
        return ::waitpid(-1, nullptr, WNOHANG) == -1 && errno == ECHILD;
    });
    EXPECT_TRUE(end.exited_well()) << end.errors;
    EXPECT_EQ(end.errors, "");
}

} // namespace
} // namespace coir::test
