#pragma once

#include <functional>
#include <string>

namespace selftest {

/// How a child process has ended, and what it wrote.
struct child_end {
    int status = 0; ///< as waitpid() gives it
    std::string output;

    [[nodiscard]] bool exited_well() const;
    /// "killed: Segmentation fault" and the like.
    [[nodiscard]] std::string description() const;
};

/// Calls `function` in a child process, which then ends with exit status 0, and collects what is written to `captured`,
/// a descriptor. After ten seconds the child is ended by SIGALRM. Leaves no core files behind.
[[nodiscard]] child_end in_child(int captured, const std::function<void()>& function);

} // namespace selftest
