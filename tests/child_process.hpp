#pragma once

#include "await_end.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <string>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/// How a child process ended, and what it wrote to stderr.
struct child_end {
    int status;
    std::string errors;

    [[nodiscard]] bool exited_with(int code) const { return WIFEXITED(status) && WEXITSTATUS(status) == code; }
    [[nodiscard]] bool exited_well() const { return exited_with(0); }
    [[nodiscard]] bool was_killed_by(int signal) const { return WIFSIGNALED(status) && WTERMSIG(status) == signal; }
    [[nodiscard]] bool says(const std::string& text) const { return errors.find(text) != std::string::npos; }
};

/// Calls `function` in a forked child, for what ends the process, or changes it for good: limits, signals, locked memory.
/// The child ends well when the function returns true. No other thread may hold a lock that the function needs.
template <class Function> child_end in_child(Function function) {
    std::array<int, 2> errors{};
    if (::pipe(errors.data()) != 0)
        std::abort();
    const pid_t child = ::fork();
    if (child == 0) {
        ::dup2(errors[1], STDERR_FILENO);
        ::close(errors[0]);
        ::close(errors[1]);
        const rlimit no_core{0, 0};
        ::setrlimit(RLIMIT_CORE, &no_core);
        for (const int signal : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT})
            std::signal(signal, SIG_DFL); // a sanitizer's handler would exit instead
        ::alarm(50);
        ::_exit(function() ? 0 : 1);
    }
    ::close(errors[1]);
    child_end end{};
    std::array<char, 4096> buffer{};
    for (ssize_t bytes = 0;
         (bytes = ::read(errors[0], buffer.data(), buffer.size())) > 0 || (bytes == -1 && errno == EINTR);)
        end.errors.append(buffer.data(), static_cast<std::size_t>(bytes > 0 ? bytes : 0));
    ::close(errors[0]);
    end.status = await_end(child);
    // An emulator says so as well when the program in it dies of a signal.
    if (const auto begin = end.errors.find("qemu: uncaught target signal"); begin != std::string::npos)
        end.errors.erase(begin, end.errors.find('\n', begin) + 1 - begin);
    return end;
}
