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
    exclusive = 1U << 4U, ///< with create: fails if it exists, also if it is a symbolic link
    truncate = 1U << 5U,  ///< what it contains is thrown away
};

[[nodiscard]] constexpr open_mode operator|(open_mode left, open_mode right) noexcept {
    return static_cast<open_mode>(static_cast<unsigned>(left) | static_cast<unsigned>(right));
}

/// Permissions of a file that is created, before the process's umask: all may read and write.
inline constexpr std::filesystem::perms default_permissions{0666};

/// A file of a file system, or a block device: read and written at offsets, while other fibers run. Neither the disk nor a
/// network file system stops the loop.
///
/// Who does the work is chosen when a loop first needs it: io_uring where the kernel allows it and coir was built with
/// liburing, else threads of coir's own (see files_use_io_uring()). The interface is the same. A read of up to 256 KiB that
/// finds its data in the page cache is done at once, by the calling thread: that costs one system call.
///
/// Common to all calls but where they say otherwise:
/// - Suspension: they may suspend.
/// - Deadline, cancellation: honoured until the operation has been handed to the system; nothing has happened then. What has
///   been handed over is awaited, since it may use the caller's memory: io_uring is asked to give it up, a thread finishes
///   it. Completion wins: if it has been carried out, the call says so. So a call may return later than its deadline by as
///   long as one operation on the device takes. Reports std::errc::timed_out; coir::cancelled, transfers as in io.hpp (with a
///   std::error_code std::errc::operation_canceled). A deadline that has passed asks for what is in the page cache.
/// - Errors: transfers throw io::transfer_error, which says how many bytes had been moved; others std::filesystem::filesystem_error.
///   Both are std::system_error, and their text names the operation and the path. The form with a std::error_code
///   throws nothing and returns what it has. No open file: std::errc::bad_file_descriptor. No memory, no thread:
///   std::errc::not_enough_memory, std::errc::resource_unavailable_try_again.
/// - Threads: only inside coir::run: elsewhere std::logic_error, or std::errc::operation_not_permitted. Several fibers, of
///   several loops, may read and write one file at once, as several threads may use one descriptor; but moving,
///   assigning, closing the object and using it must not happen in two threads at once.
/// - Whoever closes a file, or destroys or moves the object, while other fibers are in calls on it does no harm: those
///   go on, and the last one closes the descriptor. So no call ever meets a number that is another file by then.
///
/// For those who read streams, file_reader.
///
///     coir::io::file log{"events.log", coir::io::open_mode::append | coir::io::open_mode::create};
///     log.append(std::as_bytes(std::span{line}));
///     log.sync_data();
class COIR_EXPORT file {
public:
    /// None: native_handle() is -1.
    file() noexcept = default;

    /// Opens `path`, always close-on-exec. `permissions` are for a file that is created. A path that is no file with
    /// offsets can be opened, but not read; a FIFO is opened without waiting for its other end (one that nobody reads:
    /// std::errc::no_such_device_or_address). A mode that neither reads nor writes, exclusive without create, or truncate
    /// without write: std::errc::invalid_argument.
    explicit file(const std::filesystem::path& path, open_mode mode = open_mode::read,
                  std::filesystem::perms permissions = default_permissions, deadline until = {});

    /// As the constructor; on an error, none.
    [[nodiscard]] static file open(const std::filesystem::path& path, open_mode mode, std::error_code& error,
                                   deadline until = {}) noexcept {
        return open(path, mode, default_permissions, error, until);
    }
    [[nodiscard]] static file open(const std::filesystem::path& path, open_mode mode,
                                   std::filesystem::perms permissions, std::error_code& error,
                                   deadline until = {}) noexcept;

    /// The owner of `number`, which somebody else has opened (-1: none); `name` is for messages. Never suspends; throws
    /// std::bad_alloc, then it has not been adopted. Also outside coir::run.
    [[nodiscard]] static file adopt(int number, std::filesystem::path name = {});

    file(file&&) noexcept;
    file& operator=(file&&) noexcept;
    /// Closes in the calling thread and ignores errors; never suspends. That is quick, except for the last descriptor of a large
    /// file that has been removed, and on network file systems: call close() before.
    ~file();

    /// -1: none. For calls that coir does not have; it stays the property of this object.
    [[nodiscard]] int native_handle() const noexcept;
    [[nodiscard]] explicit operator bool() const noexcept { return open_ != nullptr; }
    /// What it was opened by; empty if there is none.
    [[nodiscard]] std::filesystem::path path() const;

    /// Closes now, and reports what the file system has to say about that. Closed in any case; neither a cancellation nor a
    /// deadline keeps it from that. Does nothing if there is no open file. If other fibers are in calls on the file, the
    /// last one of those closes it, and errors are lost.
    void close();
    void close(std::error_code& error) noexcept;

    /// Reads at least one byte at `offset`, and usually all that the buffer has room for; 0 at or behind the end (or for an
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

    /// Writes at least one byte at `offset`, and usually the whole buffer. Behind the end: what is in between reads as zeros.
    std::size_t write_at(std::span<const std::byte> buffer, std::uint64_t offset, deadline until = {});
    std::size_t write_at(std::span<const std::byte> buffer, std::uint64_t offset, std::error_code& error,
                         deadline until = {}) noexcept;

    /// Writes the whole buffer. Disk full: the error says how much of it has been written.
    std::size_t write_all_at(std::span<const std::byte> buffer, std::uint64_t offset, deadline until = {});
    std::size_t write_all_at(std::span<const std::byte> buffer, std::uint64_t offset, std::error_code& error,
                             deadline until = {}) noexcept;

    /// As write_all_at(), of all the pieces in order.
    std::size_t writev_at(std::span<const const_buffer> buffers, std::uint64_t offset, deadline until = {});
    std::size_t writev_at(std::span<const const_buffer> buffers, std::uint64_t offset, std::error_code& error,
                          deadline until = {}) noexcept;

    /// Writes the whole buffer to the end of a file that was opened with open_mode::append: elsewhere
    /// std::errc::invalid_argument. If it is written in one piece, as it usually is, no other append is in the middle of it.
    std::size_t append(std::span<const std::byte> buffer, deadline until = {});
    std::size_t append(std::span<const std::byte> buffer, std::error_code& error, deadline until = {}) noexcept;

    /// Returns when all that was written before is on the device (fsync). After an error nobody knows what is there:
    /// a second try that succeeds says nothing about the first.
    void sync(deadline until = {});
    void sync(std::error_code& error, deadline until = {}) noexcept;
    /// As sync(), without times and the like that reading the data does not need (fdatasync).
    void sync_data(deadline until = {});
    void sync_data(std::error_code& error, deadline until = {}) noexcept;

    /// Bytes that can be read.
    [[nodiscard]] std::uint64_t size(deadline until = {}) const { return status(until).size; }
    [[nodiscard]] std::uint64_t size(std::error_code& error, deadline until = {}) const noexcept {
        return status(error, until).size;
    }
    [[nodiscard]] file_status status(deadline until = {}) const;
    [[nodiscard]] file_status status(std::error_code& error, deadline until = {}) const noexcept;

    /// Makes it `size` bytes long: cuts off what is behind, or adds zeros that take no room.
    void truncate(std::uint64_t size, deadline until = {});
    void truncate(std::uint64_t size, std::error_code& error, deadline until = {}) noexcept;

    /// Sees to it that there is room on the device for `size` bytes from `offset` on; the file is then at least that long.
    /// Not every file system can do that: std::errc::operation_not_supported.
    void allocate(std::uint64_t offset, std::uint64_t size, deadline until = {});
    void allocate(std::uint64_t offset, std::uint64_t size, std::error_code& error, deadline until = {}) noexcept;

private:
    explicit file(std::shared_ptr<detail::open_file> opened) noexcept;

    std::shared_ptr<detail::open_file> open_;
};

/// Whether operations on files of the calling fiber's loop are carried out by io_uring; else threads do it. For people, tests and
/// measurements. The environment variable COIR_FILES=threads, looked at when a loop first uses a file, asks for
/// threads. Never suspends. Only inside coir::run: elsewhere std::logic_error.
[[nodiscard]] COIR_EXPORT bool files_use_io_uring();

} // namespace coir::io
