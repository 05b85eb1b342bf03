#pragma once

#include <cerrno>
#include <sys/wait.h>

/// Waits for the end of a child: the status of waitpid(2). A storm of signals may interrupt what the test itself waits for
/// (tests/io/faults).
inline int await_end(pid_t child) {
    int status = -1;
    while (::waitpid(child, &status, 0) == -1 && errno == EINTR) {}
    return status;
}
