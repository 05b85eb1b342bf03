#include <coir/process.hpp>

#include "io/child_process.hpp"
#include "io/errors.hpp"
#include "io/program.hpp"
#include "sched/loop.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <fcntl.h>
#include <new>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace coir {
namespace detail {
namespace {

[[noreturn]] void raise(int error, const std::string& operation) {
    throw std::system_error(error_code_of(error), operation);
}

// The pipe of a non-blocking descriptor as an open file of its own that blocks, as programs expect of their standard streams; the mode
// is the open file's, so that a duplicate would share it with fibers. -1 for anything else, and without /proc.
int open_pipe_again(int number) noexcept {
    struct stat status {};
    const int mode = ::fcntl(number, F_GETFL);
    if (mode == -1 || !(mode & O_NONBLOCK) || ::fstat(number, &status) == -1 || !S_ISFIFO(status.st_mode))
        return -1;
    std::array<char, 32> path{};
    std::snprintf(path.data(), path.size(), "/proc/self/fd/%d", number);
    // Non-blocking for the time being: a named one would wait for its other end.
    const int made = ::open(path.data(), (mode & O_ACCMODE) | O_NONBLOCK | O_CLOEXEC);
    if (made != -1)
        ::fcntl(made, F_SETFL, mode & ~O_NONBLOCK);
    return made;
}

// A descriptor that the child will have a duplicate of. Its number is none of the first three: these become something else in
// the child, and may be something else in a parent that has closed its own.
class lent_descriptor {
public:
    lent_descriptor() noexcept = default;
    ~lent_descriptor() {
        if (owned_ != -1)
            ::close(owned_);
    }
    lent_descriptor(const lent_descriptor&) = delete;
    lent_descriptor& operator=(const lent_descriptor&) = delete;

    /// Somebody else's.
    int borrow(int number, const std::string& operation) {
        if (const int pipe = open_pipe_again(number); pipe != -1)
            return own(pipe, operation);
        if (number > STDERR_FILENO)
            return number;
        owned_ = duplicate(number, operation);
        return owned_;
    }

    /// One that was just made, to be closed here; or -1 and errno.
    int own(int made, const std::string& operation) {
        if (made == -1)
            raise(errno, operation);
        owned_ = made;
        if (made <= STDERR_FILENO) {
            owned_ = duplicate(made, operation);
            ::close(made);
        }
        return owned_;
    }

private:
    static int duplicate(int number, const std::string& operation) {
        const int made = ::fcntl(number, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
        if (made == -1)
            raise(errno, operation);
        return made;
    }

    int owned_ = -1;
};

// Makes what `wanted` asks for. Returns the descriptor for the child, -1 for none; `ours` gets the other end of a pipe.
int lead(const io::redirect& wanted, int stream, lent_descriptor& lent, io::descriptor& ours,
         const std::string& operation) {
    using target = io::redirect::target;
    switch (wanted.what()) {
    case target::inherited:
        return -1;
    case target::null:
        return lent.own(::open("/dev/null", O_RDWR | O_CLOEXEC), operation + ": open /dev/null");
    case target::descriptor:
        return lent.borrow(wanted.descriptor(), operation);
    case target::output:
        if (stream != STDERR_FILENO)
            raise(EINVAL, operation + ": redirect::to_output()");
        return -1;
    case target::pipe:
        break;
    }
    std::array<int, 2> ends{-1, -1};
    if (::pipe2(ends.data(), O_CLOEXEC) == -1)
        raise(errno, operation + ": make a pipe");
    const bool child_reads = stream == STDIN_FILENO;
    const int parents_end = ends[child_reads ? 1 : 0];
    try {
        const int childs_end = lent.own(ends[child_reads ? 0 : 1], operation);
        ours = io::descriptor{parents_end};
        return childs_end;
    } catch (...) {
        ::close(parents_end);
        throw;
    }
}

// What is wanted beside the streams, in ascending order. `lent` has one for each.
std::vector<placement> place(const std::vector<io::passed_descriptor>& wanted, std::vector<lent_descriptor>& lent,
                             const std::string& operation) {
    std::vector<placement> made;
    made.reserve(wanted.size());
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        const auto [ours, theirs] = wanted[i];
        const std::string step = operation + ": descriptor " + std::to_string(theirs);
        if (theirs <= STDERR_FILENO ||
            std::ranges::any_of(made, [&, theirs = theirs](const placement& each) { return each.theirs == theirs; }))
            raise(EINVAL, step);
        made.push_back({lent[i].borrow(ours, step), theirs});
    }
    std::ranges::sort(made, {}, &placement::theirs);
    return made;
}

std::string description(const started_program& failed, const std::string& operation,
                        const io::process_options& options) {
    switch (failed.failed_step) {
    case start_step::directory:
        return operation + ": change to the directory " + options.directory;
    case start_step::input:
        return operation + ": its standard input";
    case start_step::output:
        return operation + ": its standard output";
    case start_step::error:
        return operation + ": its standard error";
    case start_step::descriptor:
        return operation + ": descriptor " + std::to_string(failed.failed_number);
    case start_step::clone:
    case start_step::execute:
        break;
    }
    return operation;
}

} // namespace
} // namespace detail

namespace io {

process::process() noexcept = default;
process::process(process&& other) noexcept = default;

process::process(const std::vector<std::string>& arguments, const process_options& options) {
    detail::loop& here = detail::loop::of_running_fiber("io::process");
    if (here.refuses())
        detail::throw_cancelled(here.running(), "io::process");
    const std::string operation = arguments.empty() ? "run a program" : "run " + arguments.front();
    const detail::program executed{arguments, options};
    auto child = std::make_unique<detail::child_process>(arguments.front());
    std::array<detail::lent_descriptor, 3> lent;
    detail::program_streams streams;
    streams.input = detail::lead(options.input, STDIN_FILENO, lent[0], input_, operation + ": its standard input");
    streams.output = detail::lead(options.output, STDOUT_FILENO, lent[1], output_, operation + ": its standard output");
    streams.error = detail::lead(options.error, STDERR_FILENO, lent[2], error_, operation + ": its standard error");
    streams.error_follows_output = options.error.what() == redirect::target::output;
    std::vector<detail::lent_descriptor> others(options.descriptors.size());
    std::vector<detail::placement> placed = detail::place(options.descriptors, others, operation);
    streams.others = placed;
    const detail::started_program made = child->start(executed, streams);
    if (made.error != 0)
        detail::raise(made.error, detail::description(made, operation, options));
    child_ = std::move(child);
}

process::process(const std::vector<std::string>& arguments, const process_options& options,
                 std::error_code& error) noexcept {
    error.clear();
    detail::loop* const here = detail::loop::current_with_running_fiber();
    if (!here || here->refuses()) {
        error = detail::error_code_of(here ? detail::was_cancelled : EPERM);
        return;
    }
    error = detail::error_thrown_by([&] { *this = process{arguments, options}; });
}

process& process::operator=(process&& other) noexcept {
    process old{std::move(*this)};
    child_ = std::move(other.child_);
    input_ = std::move(other.input_);
    output_ = std::move(other.output_);
    error_ = std::move(other.error_);
    return *this;
}

process::~process() {
    detail::child_process::end(std::move(child_));
}

int process::id() const noexcept {
    return child_ ? child_->id() : 0;
}

int process::native_handle() const noexcept {
    return child_ ? child_->handle() : -1;
}

exit_status process::wait(deadline until) {
    detail::loop& here = detail::loop::of_running_fiber("io::process::wait");
    exit_status status;
    if (!child_)
        detail::raise(EINVAL, "io::process::wait: there is no program: it is empty, detached or moved from");
    const std::string name = child_->name();
    const int error = child_->wait(here, status, until);
    if (error == detail::was_cancelled)
        detail::throw_cancelled(here.running(), "io::process::wait");
    if (error != 0)
        detail::raise(error, "wait for " + name);
    return status;
}

exit_status process::wait(std::error_code& error, deadline until) noexcept {
    detail::loop* const here = detail::loop::current_with_running_fiber();
    exit_status status;
    error = detail::error_code_of(!here ? EPERM : child_ ? child_->wait(*here, status, until) : EINVAL);
    return status;
}

std::optional<exit_status> process::try_wait() noexcept {
    exit_status status;
    if (child_ && child_->look(status) == 0)
        return status;
    return std::nullopt;
}

void process::kill(int signal) {
    std::error_code error;
    kill(signal, error);
    if (error)
        throw std::system_error(error, "signal " + (child_ ? child_->name() : "no program"));
}

void process::kill(int signal, std::error_code& error) noexcept {
    error = detail::error_code_of(child_ ? child_->kill(signal) : EINVAL);
}

void process::kill() {
    kill(SIGKILL);
}

void process::terminate() {
    kill(SIGTERM);
}

void process::detach() noexcept {
    detail::child_process::abandon(std::move(child_));
    for (descriptor* each : {&input_, &output_, &error_}) {
        std::error_code ignored;
        each->close(ignored);
    }
}

} // namespace io
} // namespace coir
