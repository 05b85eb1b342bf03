#pragma once

#include "io/errors.hpp"
#include "sched/loop.hpp"

#include <coir/io.hpp>

#include <cerrno>
#include <filesystem>
#include <string>

namespace coir::detail {

/// EINVAL for a path that contains a null character: the system would take what is before it for the whole.
[[nodiscard]] inline int check_path(const std::filesystem::path& path) noexcept {
    return path.native().find('\0') == std::string::npos ? 0 : EINVAL;
}

/// What a call of file.hpp or file_system.hpp throws for `error`: an errno, or was_cancelled.
[[noreturn]] inline void raise_for(const std::filesystem::path& path, int error, const char* operation) {
    if (error == was_cancelled)
        throw_cancelled(loop::current()->running(), operation);
    throw std::filesystem::filesystem_error(operation, path, error_code_of(error));
}

/// The same for a transfer.
[[noreturn]] inline void raise_for(const std::filesystem::path& path, const outcome& failed, const char* operation) {
    if (failed.error == was_cancelled)
        throw_cancelled(loop::current()->running(), operation, failed.bytes);
    const std::string text = std::string{operation} + " [" + path.string() + ']';
    throw io::transfer_error(error_code_of(failed.error), text, failed.bytes);
}

} // namespace coir::detail
