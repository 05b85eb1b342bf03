#pragma once

#include <coir/deadline.hpp>
#include <coir/exit_status.hpp>
#include <coir/export.hpp>
#include <coir/process.hpp>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace coir::io {

/// The result of a program.
struct process_result {
    exit_status status = {};
    std::string output = {}; ///< its standard output
    std::string error = {};  ///< its standard error; empty if that led to the output
};

/// How run_process() runs a program.
struct run_process_options {
    /// What the program reads from its standard input; then end of file. Not copied.
    std::string_view input = {};
    /// The maximum size of its output, and likewise of its error, in bytes.
    std::size_t most_output = std::size_t{16} << 20;
    /// "NAME=value", see process_options.
    std::vector<std::string> environment = {};
    bool inherit_environment = true;
    std::string directory = {};
    /// Merges standard error into the output, in the order in which it was written.
    bool merge_error = false;
};

/// A run that did not complete, and its result so far.
class COIR_EXPORT run_process_error : public std::system_error {
public:
    run_process_error(std::error_code error, const std::string& operation, process_result partial);
    ~run_process_error() override;

    /// The output so far, and the exit status of the program, which was killed unless it had ended by itself.
    [[nodiscard]] const process_result& partial() const noexcept { return *partial_; }

private:
    std::shared_ptr<const process_result> partial_; // copies of an exception must not throw
};

/// Runs a program to its end: feeds its input and collects its output and error, all at the same time, so that no full pipe can
/// stop it. An exit code other than 0 is not an error here.
///
/// May suspend. Returns when the program has ended and its output has been closed: by it, and by programs that it has started
/// and that still run. Input that the program does not read is not an error, and raises no SIGPIPE.
///
/// Throws run_process_error with std::errc::timed_out when `until` passes first, and with std::errc::value_too_large for
/// more output than `most_output`; coir::cancelled; whatever process() throws. The program has been killed then and has
/// ended. Completion wins.
///
///     const coir::io::process_result listing = coir::io::run_process({"ls", "-l"}, {}, 10s);
///     if (!listing.status.success())
///         throw std::runtime_error("ls: " + listing.error);
COIR_EXPORT process_result run_process(const std::vector<std::string>& arguments,
                                       const run_process_options& options = {}, deadline until = {});
/// On an error it returns what run_process_error::partial() would.
COIR_EXPORT process_result run_process(const std::vector<std::string>& arguments, const run_process_options& options,
                                       std::error_code& error, deadline until = {}) noexcept;

} // namespace coir::io
