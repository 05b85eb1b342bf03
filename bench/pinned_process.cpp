#include "pinned_process.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <exception>
#include <iostream>
#include <system_error>

#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

[[noreturn]] void fail(const char* operation) {
    throw std::system_error{errno, std::generic_category(), operation};
}

void pin_to(int core) {
    cpu_set_t only;
    CPU_ZERO(&only);
    CPU_SET(core, &only);
    if (::sched_setaffinity(0, sizeof only, &only) != 0)
        fail("sched_setaffinity");
}

} // namespace

pinned_process::pinned_process(const char* name, int core, const std::function<void(int channel)>& function) {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0)
        fail("socketpair");
    id_ = ::fork();
    if (id_ < 0)
        fail("fork");
    if (id_ == 0) {
        try {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            ::close(ends[0]);
            pin_to(core);
            function(ends[1]);
            ::_exit(0);
        } catch (const std::exception& error) {
            std::cerr << name << ": " << error.what() << std::endl;
        }
        ::_exit(1);
    }
    ::close(ends[1]);
    channel_ = ends[0];
}

pinned_process::~pinned_process() {
    ::kill(id_, SIGKILL);
    ::waitpid(id_, nullptr, 0);
    ::close(channel_);
}
