#pragma once

#include <coir/deadline.hpp>
#include <coir/export.hpp>
#include <coir/file_status.hpp>
#include <coir/io.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <system_error>

namespace coir::detail {
struct open_file;
}

namespace coir::io {

/// How a file is opened; combine with `|`.
enum class open_mode : unsigned {
    read = 1U << 0U,
    write = 1U << 1U,
    append = 1U << 2U,    ///< write, and every write goes to the end, whatever offset it names
    create = 1U << 3U,    ///< if it does not exist
    exclusive = 1U << 4U, ///< with create: fails if it exists, even as a symbolic link
    truncate = 1U << 5U,  ///< discards the contents
};

[[nodiscard]] constexpr open_mode operator|(open_mode left, open_mode right) noexcept {
    return static_cast<open_mode>(static_cast<unsigned>(left) | static_cast<unsigned>(right));
}

/// Permissions of a file that is created, before the process's umask: all may read and write.
inline constexpr std::filesystem::perms default_permissions{0666};

/// A file of a file system, or a block device: read and written at offsets, while other fibers run. Neither the disk nor a
/// network file system stops the loop.
///
/// The mechanism is chosen when a loop first needs it: io_uring where the kernel allows it and coir was built with liburing,
/// else threads of coir's own (see files_use_io_uring()). The interface is the same. A read of up to 256 KiB that finds its
/// data in the page cache is done at once, by the calling thread, with one system call.
///
/// Common to all calls, unless they say otherwise:
/// - Suspension: they may suspend.
/// - Deadline, cancellation: honoured until the operation has been handed to the system; then nothing has happened. An
///   operation that has been handed over is awaited, since it may use the caller's memory: io_uring is asked to cancel it, a
///   thread finishes it. Completion wins: if the operation was carried out, the call says so. So a call may return later than
///   its deadline, by the duration of one operation on the device. Reports std::errc::timed_out; coir::cancelled, for transfers
///   as in io.hpp (with a std::error_code: std::errc::operation_canceled). A deadline that has passed asks for what is in the
///   page cache.
/// - Errors: transfers throw io::transfer_error, which says how many bytes had been moved; others throw
///   std::filesystem::filesystem_error. Both are std::system_error, and their text names the operation and the path. The form
///   with a std::error_code throws nothing and returns what it has. No open file: std::errc::bad_file_descriptor. A null character
///   in a path: std::errc::invalid_argument. No memory, no thread: std::errc::not_enough_memory,
///   std::errc::resource_unavailable_try_again.
/// - Threads: only inside coir::run: elsewhere std::logic_error, or std::errc::operation_not_permitted. Several fibers, even of
///   several loops, may read and write one file at once, as several threads may use one descriptor; but one thread must not
///   move, assign or close the object while another uses it.
/// - It is safe to close a file, or to destroy or move the object, while other fibers of the loop are in calls on it: those
///   continue, and the last one closes the descriptor. So no call ever uses a descriptor number that has come to mean another
///   file.
///
/// To read a file as a stream, use file_reader.
///
///     coir::io::file log{"events.log", coir::io::open_mode::append | coir::io::open_mode::create};
///     log.append(std::as_bytes(std::span{line}));
///     log.sync_data();
class COIR_EXPORT file {
public:
    /// Empty: native_handle() is -1.
    file() noexcept = default;

    /// Opens `path`, always close-on-exec. `permissions` apply to a file that is created. Something that does not support
    /// offsets can be opened, but not read; a FIFO is opened without waiting for its other end (for writing, if nobody reads
    /// it: std::errc::no_such_device_or_address). A mode that neither reads nor writes, exclusive without create, or truncate
    /// without write: std::errc::invalid_argument.
    explicit file(const std::filesystem::path& path, open_mode mode = open_mode::read,
                  std::filesystem::perms permissions = default_permissions, deadline until = {});

    /// As the constructor; empty on an error.
    [[nodiscard]] static file open(const std::filesystem::path& path, open_mode mode, std::error_code& error,
                                   deadline until = {}) noexcept {
        return open(path, mode, default_permissions, error, until);
    }
    [[nodiscard]] static file open(const std::filesystem::path& path, open_mode mode,
                                   std::filesystem::perms permissions, std::error_code& error,
                                   deadline until = {}) noexcept;

    /// The owner of `number`, which somebody else has opened (-1: none); `name` is for messages. Never suspends. Throws
    /// std::bad_alloc; then the number has not been adopted. Also outside coir::run.
    [[nodiscard]] static file adopt(int number, std::filesystem::path name = {});

    file(file&&) noexcept;
    file& operator=(file&&) noexcept;
    /// Closes in the calling thread and ignores errors; never suspends. That is quick, except for the last descriptor of a
    /// large removed file, and on network file systems: there, call close() first.
    ~file();

    /// -1 if empty. For system calls that coir does not wrap; this object still owns it.
    [[nodiscard]] int native_handle() const noexcept;
    [[nodiscard]] explicit operator bool() const noexcept { return open_ != nullptr; }
    /// The path by which it was opened; empty if there is none.
    [[nodiscard]] std::filesystem::path path() const;

    /// Closes now, and reports errors of the file system. The file is closed in any case, even under cancellation. Does nothing
    /// if there is no open file. If other fibers are in calls on the file, the last of those closes it, and errors are lost.
    void close();
    void close(std::error_code& error) noexcept;

    /// Reads at least one byte at `offset`, and usually all that the buffer has room for; 0 at or beyond the end (or for an
    /// empty buffer).
    std::size_t read_at(std::span<std::byte> buffer, std::uint64_t offset, deadline until = {}) const;
    std::size_t read_at(std::span<std::byte> buffer, std::uint64_t offset, std::error_code& error,
                        deadline until = {}) const noexcept;

    /// Fills the buffer. Returns less than its size only at the end of the file.
    std::size_t read_all_at(std::span<std::byte> buffer, std::uint64_t offset, deadline until = {}) const;
    std::size_t read_all_at(std::span<std::byte> buffer, std::uint64_t offset, std::error_code& error,
                            deadline until = {}) const noexcept;

    /// As read_all_at(), scattered over several pieces in order.
    std::size_t readv_at(std::span<const mutable_buffer> buffers, std::uint64_t offset, deadline until = {}) const;
    std::size_t readv_at(std::span<const mutable_buffer> buffers, std::uint64_t offset, std::error_code& error,
                         deadline until = {}) const noexcept;

    /// Writes at least one byte at `offset`, and usually the whole buffer. When writing beyond the end, the gap reads as zeros.
    std::size_t write_at(std::span<const std::byte> buffer, std::uint64_t offset, deadline until = {});
    std::size_t write_at(std::span<const std::byte> buffer, std::uint64_t offset, std::error_code& error,
                         deadline until = {}) noexcept;

    /// Writes the whole buffer. If the disk is full, the error says how much has been written.
    std::size_t write_all_at(std::span<const std::byte> buffer, std::uint64_t offset, deadline until = {});
    std::size_t write_all_at(std::span<const std::byte> buffer, std::uint64_t offset, std::error_code& error,
                             deadline until = {}) noexcept;

    /// As write_all_at(), of all the pieces in order.
    std::size_t writev_at(std::span<const const_buffer> buffers, std::uint64_t offset, deadline until = {});
    std::size_t writev_at(std::span<const const_buffer> buffers, std::uint64_t offset, std::error_code& error,
                          deadline until = {}) noexcept;

    /// Writes the whole buffer to the end of a file that was opened with open_mode::append (otherwise:
    /// std::errc::invalid_argument). If it is written in one piece, as is usual, no other append interleaves with it.
    std::size_t append(std::span<const std::byte> buffer, deadline until = {});
    std::size_t append(std::span<const std::byte> buffer, std::error_code& error, deadline until = {}) noexcept;

    /// Returns when everything written before is on the device (fsync). After an error the state of the device is unknown: a
    /// later sync() that succeeds does not cover what was lost.
    void sync(deadline until = {});
    void sync(std::error_code& error, deadline until = {}) noexcept;
    /// As sync(), without metadata that is not needed to read the data, such as times (fdatasync).
    void sync_data(deadline until = {});
    void sync_data(std::error_code& error, deadline until = {}) noexcept;

    /// Bytes that can be read.
    [[nodiscard]] std::uint64_t size(deadline until = {}) const { return status(until).size; }
    [[nodiscard]] std::uint64_t size(std::error_code& error, deadline until = {}) const noexcept {
        return status(error, until).size;
    }
    [[nodiscard]] file_status status(deadline until = {}) const;
    [[nodiscard]] file_status status(std::error_code& error, deadline until = {}) const noexcept;

    /// Makes the file `size` bytes long: cuts off the rest, or adds zeros that take up no space.
    void truncate(std::uint64_t size, deadline until = {});
    void truncate(std::uint64_t size, std::error_code& error, deadline until = {}) noexcept;

    /// Reserves space on the device for `size` bytes from `offset` on; the file is then at least that long. If the file system
    /// does not support that: std::errc::operation_not_supported.
    void allocate(std::uint64_t offset, std::uint64_t size, deadline until = {});
    void allocate(std::uint64_t offset, std::uint64_t size, std::error_code& error, deadline until = {}) noexcept;

private:
    explicit file(std::shared_ptr<detail::open_file> opened) noexcept;

    std::shared_ptr<detail::open_file> open_;
};

/// Whether operations on files of the calling fiber's loop are carried out by io_uring rather than by threads. For diagnostics,
/// tests and measurements. The environment variable COIR_FILES=threads, read when a loop first uses a file, forces threads.
/// Never suspends. Only inside coir::run: elsewhere std::logic_error.
[[nodiscard]] COIR_EXPORT bool files_use_io_uring();

} // namespace coir::io
