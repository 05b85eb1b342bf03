#pragma once

#include <coir/deadline.hpp>
#include <coir/export.hpp>
#include <coir/file.hpp>
#include <coir/file_status.hpp>

#include <concepts>
#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

/// \file Operations on files by name: what std::filesystem does, while other fibers run.
///
/// Suspension, deadlines, cancellation and threads as in file.hpp: an operation that has been handed to the system is awaited.
/// Errors: std::filesystem::filesystem_error, with the operation and the paths; the forms with a std::error_code throw nothing.
///
///     for (const coir::io::directory_entry& entry : coir::io::list_directory("spool"))
///         if (entry.type == std::filesystem::file_type::regular)
///             take(coir::io::read_file("spool" / entry.name));
namespace coir::io {

/// What a directory says about one of its files.
struct directory_entry {
    std::filesystem::path name; ///< without the directory
    /// The type of the entry itself, even if it is a symbolic link. `unknown`: the file system does not say; ask link_status().
    std::filesystem::file_type type = std::filesystem::file_type::unknown;
};

/// The status of the file that `path` refers to, following symbolic links. A file that does not exist is an error.
[[nodiscard]] COIR_EXPORT file_status status(const std::filesystem::path& path, deadline until = {});
[[nodiscard]] COIR_EXPORT file_status status(const std::filesystem::path& path, std::error_code& error,
                                             deadline until = {}) noexcept;
/// As status(), but of a symbolic link itself.
[[nodiscard]] COIR_EXPORT file_status link_status(const std::filesystem::path& path, deadline until = {});
[[nodiscard]] COIR_EXPORT file_status link_status(const std::filesystem::path& path, std::error_code& error,
                                                  deadline until = {}) noexcept;

/// Renames `from` to `to` atomically, replacing a file that has that name.
COIR_EXPORT void rename(const std::filesystem::path& from, const std::filesystem::path& to, deadline until = {});
COIR_EXPORT void rename(const std::filesystem::path& from, const std::filesystem::path& to, std::error_code& error,
                        deadline until = {}) noexcept;

/// Removes a file or an empty directory. False: it did not exist.
COIR_EXPORT bool remove(const std::filesystem::path& path, deadline until = {});
COIR_EXPORT bool remove(const std::filesystem::path& path, std::error_code& error, deadline until = {}) noexcept;

/// Creates a directory, with all permissions that the umask allows. False: it existed.
COIR_EXPORT bool create_directory(const std::filesystem::path& path, deadline until = {});
COIR_EXPORT bool create_directory(const std::filesystem::path& path, std::error_code& error,
                                  deadline until = {}) noexcept;

/// The files in the directory `path`, in no order, without `.` and `..`. Read by a thread, some hundred entries at a
/// time; between them a deadline or a cancellation ends it. With a std::error_code: on an error, those that were read
/// before.
[[nodiscard]] COIR_EXPORT std::vector<directory_entry> list_directory(const std::filesystem::path& path,
                                                                      deadline until = {});
[[nodiscard]] COIR_EXPORT std::vector<directory_entry>
list_directory(const std::filesystem::path& path, std::error_code& error, deadline until = {}) noexcept;

/// The whole contents of the file, unconverted; works even where the size is not known beforehand, as in /proc. With a
/// std::error_code: on an error, what was read before.
[[nodiscard]] COIR_EXPORT std::string read_file(const std::filesystem::path& path, deadline until = {});
[[nodiscard]] COIR_EXPORT std::string read_file(const std::filesystem::path& path, std::error_code& error,
                                                deadline until = {}) noexcept;

/// Replaces the contents of the file, which is created if necessary; returns their size. Not atomic: concurrent readers may see
/// a part, and an error may leave a part: io::transfer_error (io::transfer_cancelled) says how much, and so does the return
/// value of the form with a std::error_code. To replace a file atomically, write another, sync() and rename() it.
COIR_EXPORT std::size_t write_file(const std::filesystem::path& path, std::span<const std::byte> contents,
                                   deadline until = {});
COIR_EXPORT std::size_t write_file(const std::filesystem::path& path, std::span<const std::byte> contents,
                                   std::error_code& error, deadline until = {}) noexcept;
/// As above, of text. A char array that is not a literal may lack the terminator that string_view looks for: pass a view.
template <class... How>
std::size_t write_file(const std::filesystem::path& path, std::string_view contents,
                       How&&... how) noexcept((std::same_as<How, std::error_code&> || ...)) {
    return write_file(path, std::as_bytes(std::span{contents}), std::forward<How>(how)...);
}
template <std::size_t size, class... How>
std::size_t write_file(const std::filesystem::path& path, char (&contents)[size], How&&... how) = delete;

} // namespace coir::io
