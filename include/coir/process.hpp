#pragma once

#include <coir/deadline.hpp>
#include <coir/descriptor.hpp>
#include <coir/exit_status.hpp>
#include <coir/export.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

namespace coir {

namespace detail {
class child_process;
}

namespace io {

/// Where one of the three standard streams of a program leads. The default is redirect::inherit().
class redirect {
public:
    enum class target : std::uint8_t { inherited, null, pipe, output, descriptor };

    constexpr redirect() noexcept = default;

    /// Where this process's own stream leads.
    [[nodiscard]] static constexpr redirect inherit() noexcept { return {}; }
    /// /dev/null: nothing to read, and output is discarded.
    [[nodiscard]] static constexpr redirect null() noexcept { return redirect{target::null, -1}; }
    /// To a pipe, of which this process has the other end: process::input(), output() or error().
    [[nodiscard]] static constexpr redirect pipe() noexcept { return redirect{target::pipe, -1}; }
    /// To `descriptor` of this process. For a pipe in non-blocking mode, as io::pipe() creates them, the program gets an open
    /// file description of its own that blocks; for anything else a duplicate, which shares the mode. Beware: few programs
    /// expect a non-blocking socket or terminal, which is what an io::descriptor owns.
    [[nodiscard]] static constexpr redirect to(int descriptor) noexcept {
        return redirect{target::descriptor, descriptor};
    }
    /// For standard error only: to where the program's standard output leads (the shell's `2>&1`).
    [[nodiscard]] static constexpr redirect to_output() noexcept { return redirect{target::output, -1}; }

    [[nodiscard]] constexpr target what() const noexcept { return what_; }
    /// The argument of to().
    [[nodiscard]] constexpr int descriptor() const noexcept { return descriptor_; }

private:
    constexpr redirect(target what, int descriptor) noexcept : what_(what), descriptor_(descriptor) {}

    target what_ = target::inherited;
    int descriptor_ = -1;
};

/// A descriptor that a program gets in addition to the three standard streams.
struct passed_descriptor {
    int ours = -1;   ///< in this process, as for redirect::to()
    int theirs = -1; ///< its number in the program: at least 3, and less than RLIMIT_NOFILE minus the number passed
};

/// How a program is started.
struct process_options {
    redirect input = {};
    redirect output = {};
    redirect error = {};
    /// Working directory; empty: that of this process. Relative paths of a program, or in PATH, are resolved from there.
    std::string directory = {};
    /// "NAME=value": adds a variable, or replaces the inherited one. "NAME" alone: not inherited. Of several with the same name the
    /// last counts.
    std::vector<std::string> environment = {};
    /// False: the program gets only the variables of `environment`, and `id_variable`.
    bool inherit_environment = true;
    /// In any order; the numbers of the two sides may overlap.
    std::vector<passed_descriptor> descriptors = {};
    /// Name of a variable that holds the program's own process id, as sd_listen_fds(3) requires of LISTEN_PID; empty: none.
    std::string id_variable = {};
    /// The program becomes the leader of a session, and of a process group, of its own (setsid(2)): it has no controlling
    /// terminal, and signals, including that at the end of the scope, are sent to its whole group.
    bool new_session = false;
};

/// Runs a program as a child of this process, and owns it: the destructor kills it.
///
///     coir::io::process sort{{"sort", "-n"}, {.input = redirect::pipe(), .output = redirect::pipe()}};
///     sort.input().write_all(numbers);
///     sort.input().close();                       // end of file for sort
///     const std::size_t n = sort.output().read_some(buffer, 5s);
///     if (!sort.wait(5s).success()) ...
///
/// To run a program to its end with all its input and output, use run_process(). To pass listening sockets to a successor,
/// which gets them from net::activated_sockets():
///
///     coir::io::process successor{{"/proc/self/exe"},
///                                 {.environment = {"LISTEN_FDS=1"},
///                                  .descriptors = {{.ours = listener.native_handle(), .theirs = 3}},
///                                  .id_variable = "LISTEN_PID"}};
///     successor.detach();
///
/// The program gets the three standard streams, process_options::descriptors, and no other descriptor of this process, whether
/// marked close-on-exec or not; no blocked signals; and the default disposition for each signal. Writing to the pipe of a
/// program that has closed its end raises SIGPIPE, as pipes do: ignore that signal, or use run_process(), which does not raise
/// it.
///
/// Nothing here touches SIGCHLD: no handler, no mask, no libev child watcher. If the surrounding program has a handler that
/// waits for all children, or ignores SIGCHLD, the kernel discards the exit status before coir asks for it. From Linux 6.15 on
/// it is available nevertheless; before that, wait() reports std::errc::no_child_process when the program has ended.
///
/// Threads: belongs to the loop of the thread that made it; other loops may be running and starting programs meanwhile.
/// Several fibers may wait for one program. After fork() the child of this process does not own the program: there wait() and
/// kill() report std::errc::no_child_process, and the destructor leaves the program alone.
class COIR_EXPORT process {
public:
    /// Empty.
    process() noexcept;

    /// Starts a program, without a shell: arguments[0] is its name, looked up in the PATH of this process unless it contains a
    /// slash, and `arguments` is what its main() gets. Reads the environment, which nobody may change meanwhile.
    ///
    /// Does not suspend; blocks the thread until the kernel has loaded the program, some hundred microseconds, or as long as
    /// the disk needs. After cancellation it throws coir::cancelled and starts nothing. Throws std::system_error that names the
    /// program and the step that failed: std::errc::no_such_file_or_directory, permission_denied, executable_format_error (also
    /// a script without "#!"), argument_list_too_long, too_many_files_open, resource_unavailable_try_again,
    /// function_not_supported (before Linux 5.4), …; std::errc::invalid_argument without arguments, with a null character in
    /// one, with a variable without a name, or with a number that no descriptor can be passed as. Then neither a process nor a
    /// descriptor is left. std::logic_error outside coir::run.
    explicit process(const std::vector<std::string>& arguments, const process_options& options = {});
    /// On an error there is no program.
    process(const std::vector<std::string>& arguments, const process_options& options, std::error_code& error) noexcept;

    process(process&& other) noexcept;
    /// Kills the program owned until now, as the destructor does.
    process& operator=(process&& other) noexcept;

    /// Kills the program with SIGKILL unless it has ended, and waits for its end, so that no zombie remains. To let it end by
    /// itself first, call terminate(), and wait() with a deadline.
    ///
    /// May suspend; cannot be cancelled. A killed program ends within milliseconds, but not while it is in an uninterruptible
    /// wait in the kernel (a dead network file system, a broken disk): after a second a line on stderr says so, and the program
    /// is abandoned, as by detach(). The same goes for a program that has changed its user, so that this process may not kill
    /// it. Outside coir::run, when the object has outlived its loop, the thread waits instead of a fiber. Grandchildren are not
    /// killed, except with process_options::new_session: then those in the process group are, even after the program has ended
    /// (before Linux 6.9 only if nobody has waited for it), but they are not waited for.
    ~process();

    [[nodiscard]] explicit operator bool() const noexcept { return child_ != nullptr; }

    /// Its process id, for diagnostics; 0 if empty. Unlike kill(), using this number after the end may hit another process.
    [[nodiscard]] int id() const noexcept;
    /// A pidfd, readable when the program has ended: for select(io::readable(...)). -1 if empty.
    [[nodiscard]] int native_handle() const noexcept;

    /// This end of the streams that were redirected to a pipe(); no descriptor for the others.
    [[nodiscard]] descriptor& input() noexcept { return input_; }
    [[nodiscard]] descriptor& output() noexcept { return output_; }
    [[nodiscard]] descriptor& error() noexcept { return error_; }

    /// Waits for the end of the program. Later calls return the same status. May suspend. Data in the pipes remains readable.
    ///
    /// Throws std::system_error with std::errc::timed_out when `until` passes first, and coir::cancelled: the program runs on.
    /// std::errc::no_child_process: see above; invalid_argument: there is no program. Completion wins. std::logic_error outside
    /// coir::run. Beware: a program that fills a pipe which nobody reads does not end.
    exit_status wait(deadline until = {});
    /// On an error the returned status is neither exited() nor signalled().
    exit_status wait(std::error_code& error, deadline until = {}) noexcept;

    /// Its exit status, if it has ended. Never suspends. Also outside coir::run.
    [[nodiscard]] std::optional<exit_status> try_wait() noexcept;

    /// Sends a signal, with process_options::new_session to its whole group. Does nothing if the program has ended: the signal
    /// can never reach another process that has got the same id since. Never suspends. Throws std::system_error:
    /// std::errc::operation_not_permitted for a program that has changed its user, invalid_argument for an invalid signal. Also
    /// outside coir::run.
    void kill(int signal);
    void kill(int signal, std::error_code& error) noexcept;
    /// SIGKILL, which no program can ignore.
    void kill();
    /// SIGTERM: asks it to end.
    void terminate();

    /// Lets the program run on without an owner. When it has ended, it is reaped at the next start or end of a process. Closes
    /// this end of its pipes.
    void detach() noexcept;

private:
    std::unique_ptr<detail::child_process> child_;
    descriptor input_;
    descriptor output_;
    descriptor error_;
};

} // namespace io
} // namespace coir
