#pragma once

#include <coir/process.hpp>

#include <span>
#include <string>
#include <vector>

#include <sys/types.h>

namespace coir::detail {

/// What is to be executed: everything that the child needs, made by the parent, since the child must not allocate.
class program {
public:
    /// Throws std::bad_alloc, and std::system_error for what no program can be given.
    program(const std::vector<std::string>& arguments, const io::process_options& options);
    program(const program&) = delete;
    program& operator=(const program&) = delete;

    /// Paths to try in this order; null at the end, as of the other lists.
    [[nodiscard]] const char* const* files() const noexcept { return files_.data(); }
    [[nodiscard]] char* const* arguments() const noexcept { return arguments_.data(); }
    [[nodiscard]] char* const* environment() const noexcept { return environment_.data(); }
    /// Null: this process's.
    [[nodiscard]] const char* directory() const noexcept { return directory_.empty() ? nullptr : directory_.c_str(); }
    /// Where in the environment the child writes its id, with room for it and a zero; null: nowhere.
    [[nodiscard]] char* id_text() const noexcept { return id_text_; }
    [[nodiscard]] bool begins_session() const noexcept { return begins_session_; }

private:
    std::string directory_;
    std::vector<std::string> paths_; // what the pointers of the lists point to
    std::vector<std::string> texts_;
    std::vector<const char*> files_;
    std::vector<char*> arguments_;
    std::vector<char*> environment_;
    char* id_text_ = nullptr;
    bool begins_session_;
};

/// A descriptor that the program gets beside its streams.
struct placement {
    int from;   ///< above 2; the child changes it
    int theirs; ///< above 2
};

/// What a program's standard streams lead to; each -1 (as in this process), or a descriptor above 2.
struct program_streams {
    int input = -1;
    int output = -1;
    int error = -1;
    bool error_follows_output = false;
    std::span<placement> others{}; ///< by `theirs`, in ascending order, none twice
};

/// Which step of a start has failed.
enum class start_step : unsigned char { clone, directory, input, output, error, descriptor, execute };

/// A child that executes its program, or why there is none.
struct started_program {
    pid_t id = -1;
    int handle = -1; ///< a pidfd, close-on-exec
    int error = 0;   ///< an errno
    start_step failed_step = start_step::clone;
    int failed_number = -1; ///< of start_step::descriptor: placement::theirs
};

/// Starts `executed`. On an error there is no child and no zombie. Blocks the thread until the program is loaded.
[[nodiscard]] started_program start(const program& executed, const program_streams& streams) noexcept;

} // namespace coir::detail
