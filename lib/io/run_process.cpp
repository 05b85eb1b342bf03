#include <coir/run_process.hpp>

#include "io/errors.hpp"
#include "io/operation.hpp"
#include "sched/loop.hpp"
#include "sched/spawn_helper.hpp"

#include <coir/cancel_scope.hpp>
#include <coir/fiber.hpp>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <ctime>
#include <new>
#include <optional>
#include <span>
#include <unistd.h>
#include <utility>

namespace coir {
namespace detail {
namespace {

// write() that raises no SIGPIPE, which only sockets can be asked for in a simpler way.
ssize_t write_quietly(int number, const char* data, std::size_t size) noexcept {
    sigset_t pending;
    ::sigpending(&pending);
    if (::sigismember(&pending, SIGPIPE) == 1) // somebody has blocked it: another changes nothing
        return ::write(number, data, size);
    sigset_t broken_pipe;
    sigset_t before;
    ::sigemptyset(&broken_pipe);
    ::sigaddset(&broken_pipe, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &broken_pipe, &before);
    const ssize_t written = ::write(number, data, size);
    const int error = errno;
    if (written == -1 && error == EPIPE) {
        constexpr timespec at_once{};
        ::sigtimedwait(&broken_pipe, nullptr, &at_once);
    }
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    errno = error;
    return written;
}

// Writes some of the input.
class feeding final : public operation {
public:
    explicit feeding(std::string_view input) noexcept : operation(direction::write), rest(input) {}

    bool attempt(int number) noexcept override {
        const ssize_t written = write_quietly(number, rest.data(), rest.size());
        if (written > 0)
            rest.remove_prefix(static_cast<std::size_t>(written));
        return written != -1;
    }

    std::string_view rest;
};

// One run. The calling fiber feeds the program; two others read, and tell when they are done. Whatever goes wrong first stops
// everything: the program is killed, and the pipes are closed, which wakes whoever waits for one. Nothing is thrown on
// the way, since swallowing coir::cancelled is not allowed.
class conversation {
public:
    conversation(loop& here, io::process& program, const io::run_process_options& options, io::process_result& result)
        : here_(here), program_(program), options_(options), result_(result) {}

    // Errno, was_cancelled, or 0.
    int hold(deadline until) noexcept {
        {
            std::optional<fiber<void>> output = reader(program_.output(), result_.output);
            std::optional<fiber<void>> error = reader(program_.error(), result_.error);
            here_.yield(); // they begin
            stop_if_not_begun(output);
            stop_if_not_begun(error);
            feed(until);
            await_readers(until);
        } // their ends
        std::error_code failed;
        if (!stopped_)
            result_.status = program_.wait(failed, until);
        if (failed)
            stop(failed == std::errc::operation_canceled ? was_cancelled : failed.value());
        if (stopped_) {
            const shield in_peace;
            result_.status = program_.wait(failed, std::chrono::seconds{1}); // ~process() waits longer, if it must
        }
        return error_;
    }

private:
    void stop(int error) noexcept {
        if (std::exchange(stopped_, true))
            return;
        error_ = error;
        std::error_code ignored;
        program_.kill(SIGKILL, ignored);
        for (io::descriptor* each : {&program_.input(), &program_.output(), &program_.error()})
            each->close(ignored);
    }

    std::optional<fiber<void>> reader(io::descriptor& from, std::string& into) noexcept {
        if (!from || stopped_)
            return std::nullopt;
        try {
            fiber<void> made = spawn_helper("run_process", [this, &from, &into] { read(from, into); });
            ++reading_;
            return made;
        } catch (const std::system_error& failure) {
            stop(failure.code().value());
        } catch (const std::bad_alloc&) {
            stop(ENOMEM);
        }
        return std::nullopt;
    }

    // spawn() has promised it a stack; but that may have turned out to be unusable.
    void stop_if_not_begun(std::optional<fiber<void>>& reader) noexcept {
        if (!reader || !fiber_access::state(*reader).failure)
            return;
        stop(error_thrown_by([&] { reader->join(); }).value());
    }

    void read(io::descriptor& from, std::string& into) noexcept {
        try {
            collect(from, into);
        } catch (const std::bad_alloc&) {
            stop(ENOMEM);
        }
        if (--reading_ == 0 && awaiting_)
            here_.wake(*awaiting_, wake_reason::notified);
    }

    void collect(io::descriptor& from, std::string& into) {
        constexpr std::size_t pipe_size = std::size_t{64} * 1024;
        std::vector<std::byte> buffer(pipe_size);
        std::error_code failed;
        while (const std::size_t got = from.read_some(buffer, failed)) {
            const std::size_t room = options_.most_output - into.size();
            into.append(reinterpret_cast<const char*>(buffer.data()), std::min(got, room));
            if (got > room)
                return stop(EOVERFLOW);
        }
        if (failed)
            stop(failed == std::errc::operation_canceled ? was_cancelled : failed.value());
    }

    void feed(deadline until) noexcept {
        feeding work{options_.input};
        while (!work.rest.empty() && !stopped_) {
            const int error = perform(here_, program_.input().get(), work, until).error;
            if (error == EPIPE) // it reads no more
                break;
            if (error != 0)
                stop(error);
        }
        std::error_code ignored;
        program_.input().close(ignored);
    }

    void await_readers(deadline until) noexcept {
        if (reading_ == 0 || stopped_)
            return;
        wait_record record{wait_kind::program, this};
        awaiting_ = &record;
        const wake_reason why = here_.wait(record, until);
        awaiting_ = nullptr;
        if (reading_ != 0 && !stopped_)
            stop(why == wake_reason::cancelled ? was_cancelled : ETIMEDOUT);
    }

    loop& here_;
    io::process& program_;
    const io::run_process_options& options_;
    io::process_result& result_;
    int reading_ = 0;                 // readers that have not done
    wait_record* awaiting_ = nullptr; // who waits for them
    bool stopped_ = false;
    int error_ = 0; // why
};

io::process_options options_for(const io::run_process_options& options) {
    return {.input = io::redirect::pipe(),
            .output = io::redirect::pipe(),
            .error = options.merge_error ? io::redirect::to_output() : io::redirect::pipe(),
            .directory = options.directory,
            .environment = options.environment,
            .inherit_environment = options.inherit_environment};
}

} // namespace
} // namespace detail

namespace io {

run_process_error::run_process_error(std::error_code error, const std::string& operation, process_result partial)
    : std::system_error(error, operation), partial_(std::make_shared<const process_result>(std::move(partial))) {}

run_process_error::~run_process_error() = default;

process_result run_process(const std::vector<std::string>& arguments, const run_process_options& options,
                           deadline until) {
    detail::loop& here = detail::loop::of_running_fiber("io::run_process");
    process program{arguments, detail::options_for(options)};
    process_result result;
    const int error = detail::conversation{here, program, options, result}.hold(until);
    if (error == detail::was_cancelled)
        detail::throw_cancelled(here.running(), "io::run_process");
    if (error != 0)
        throw run_process_error(detail::error_code_of(error), "run " + arguments.front(), std::move(result));
    return result;
}

process_result run_process(const std::vector<std::string>& arguments, const run_process_options& options,
                           std::error_code& error, deadline until) noexcept {
    process_result result;
    try {
        process program{arguments, detail::options_for(options), error};
        if (!error)
            error = detail::error_code_of(
                detail::conversation{*detail::loop::current(), program, options, result}.hold(until));
    } catch (const std::bad_alloc&) {
        error = detail::error_code_of(ENOMEM);
    }
    return result;
}

} // namespace io
} // namespace coir
