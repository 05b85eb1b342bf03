#pragma once

#include "io/operation.hpp"
#include "io/program.hpp"

#include <coir/deadline.hpp>
#include <coir/exit_status.hpp>

#include <memory>
#include <string>

namespace coir::detail {

/// A child of this process: its pidfd, and how it has ended once that is known.
///
/// A pidfd is readable when the child has ended, and means this child for ever, whatever becomes of its process id. So
/// nothing here looks at SIGCHLD, and no signal can reach a stranger.
class child_process {
public:
    /// `name` is for messages. Nothing has been started.
    explicit child_process(std::string name) : name_(std::move(name)) {}
    /// Closes the pidfd. Those who wait for it get EBADF.
    ~child_process();
    child_process(const child_process&) = delete;
    child_process& operator=(const child_process&) = delete;

    /// Starts it; once. Also removes what is left of abandoned children.
    started_program start(const program& executed, const program_streams& streams) noexcept;

    [[nodiscard]] const std::string& name() const noexcept { return name_; }
    [[nodiscard]] pid_t id() const noexcept { return id_; }
    [[nodiscard]] int handle() const noexcept { return handle_; }

    /// 0 and how it has ended; EAGAIN: not yet. ECHILD: nobody can tell, or this is a child of fork() and not its parent.
    [[nodiscard]] int look(io::exit_status& status) noexcept;
    /// As look(), but waits: errno or was_cancelled. May suspend.
    [[nodiscard]] int wait(loop& here, io::exit_status& status, deadline until) noexcept;
    /// If it leads a session, the whole process group. 0 or an errno.
    [[nodiscard]] int kill(int signal) noexcept;

    /// Kills `child`, if it is ours, and waits for its end; not for ever. May suspend, cannot be cancelled.
    static void end(std::unique_ptr<child_process> child) noexcept;
    /// Nobody will ask for `child` any more: what the kernel keeps of it is removed some time after its end.
    static void abandon(std::unique_ptr<child_process> child) noexcept;

private:
    [[nodiscard]] bool is_ours() const noexcept;
    /// Of a leader: also when it has ended. ESRCH: there is nobody, or the kernel cannot tell any more.
    [[nodiscard]] int kill_group(int signal) noexcept;
    [[nodiscard]] bool await_end() noexcept;
    static void remove_abandoned() noexcept;

    const std::string name_;
    pid_t id_ = 0;
    pid_t parent_ = 0; // the process that has started it: in a child of fork() another one
    int handle_ = -1;
    bool leads_session_ = false;
    bool is_known_ = false; // what follows
    int error_ = 0;
    io::exit_status status_;
    child_process* next_ = nullptr; // among the abandoned
};

} // namespace coir::detail
