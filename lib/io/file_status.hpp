#pragma once

#include <coir/file_status.hpp>

#include <sys/stat.h>

namespace coir::detail {

/// What the system has answered, in the words of the public interface.
[[nodiscard]] io::file_status to_file_status(const struct statx& found) noexcept;

/// Of the bits of st_mode.
[[nodiscard]] std::filesystem::file_type to_file_type(unsigned mode) noexcept;

} // namespace coir::detail
