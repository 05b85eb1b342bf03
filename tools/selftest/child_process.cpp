#include "child_process.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <sys/resource.h>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>

namespace selftest {
namespace {

constexpr unsigned longest_seconds = 10;

[[noreturn]] void be_child(const std::array<int, 2>& pipe, int captured, const std::function<void()>& function) {
    ::dup2(pipe[1], captured);
    ::close(pipe[0]);
    ::close(pipe[1]);
    const rlimit no_core{0, 0};
    ::setrlimit(RLIMIT_CORE, &no_core);
    ::alarm(longest_seconds);
    function();
    std::fflush(nullptr);
    ::_exit(0);
}

} // namespace

bool child_end::exited_well() const {
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

std::string child_end::description() const {
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
        return "did not end";
    if (WIFSIGNALED(status))
        return std::string{"killed: "} + ::strsignal(WTERMSIG(status));
    return "ended with exit status " + std::to_string(WEXITSTATUS(status));
}

child_end in_child(int captured, const std::function<void()>& function) {
    std::array<int, 2> pipe{};
    std::fflush(nullptr); // or the child writes it once more
    if (::pipe(pipe.data()) != 0)
        throw std::system_error{errno, std::generic_category(), "pipe"};
    const pid_t child = ::fork();
    if (child < 0)
        throw std::system_error{errno, std::generic_category(), "fork"};
    if (child == 0)
        be_child(pipe, captured, function);
    ::close(pipe[1]);
    child_end end;
    std::array<char, 1024> buffer{};
    for (ssize_t bytes = 0; (bytes = ::read(pipe[0], buffer.data(), buffer.size())) != 0;) {
        if (bytes > 0)
            end.output.append(buffer.data(), static_cast<std::size_t>(bytes));
        else if (errno != EINTR)
            break;
    }
    ::close(pipe[0]);
    ::waitpid(child, &end.status, 0);
    return end;
}

} // namespace selftest
