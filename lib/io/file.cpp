#include <coir/file.hpp>

#include "io/ev_driver.hpp"
#include "io/file_errors.hpp"
#include "io/file_operation.hpp"
#include "io/file_status.hpp"
#include "io/open_file.hpp"
#include "io/transfer.hpp"

#include <cerrno>
#include <fcntl.h>
#include <limits>
#include <new>
#include <sys/uio.h>
#include <unistd.h>
#include <utility>

/// \file
/// A read that finds its data in the page cache is done by the loop's thread: preadv2() with RWF_NOWAIT copies what is there
/// and fails where it would wait for the device or a lock. That costs a third of a thread's or ring's way there and
/// back. Everything else goes that way.
namespace coir::io {

using detail::amount;
using detail::file_operation;
using detail::loop;
using detail::open_file;
using detail::outcome;
using detail::pieces;

namespace {

constexpr std::uint64_t most_offset = std::numeric_limits<off_t>::max();

// A copy's units of a slice (loop::spend()), beyond those of its system call.
constexpr std::size_t bytes_per_switch = 1024;

constexpr bool has(open_mode mode, open_mode flag) noexcept {
    return (static_cast<unsigned>(mode) & static_cast<unsigned>(flag)) != 0;
}

// -1: makes no sense.
int open_flags(open_mode mode) noexcept {
    const bool writes = has(mode, open_mode::write) || has(mode, open_mode::append);
    const bool reads = has(mode, open_mode::read);
    if ((!reads && !writes) || (has(mode, open_mode::exclusive) && !has(mode, open_mode::create)) ||
        (has(mode, open_mode::truncate) && !writes))
        return -1;
    int flags = O_CLOEXEC | (!writes ? O_RDONLY : reads ? O_RDWR : O_WRONLY);
    flags |= has(mode, open_mode::append) ? O_APPEND : 0;
    flags |= has(mode, open_mode::create) ? O_CREAT : 0;
    flags |= has(mode, open_mode::exclusive) ? O_EXCL : 0;
    flags |= has(mode, open_mode::truncate) ? O_TRUNC : 0;
    return flags;
}

// Of a descriptor that has just come into our hands.
void look_at(open_file& opened) noexcept {
    opened.has_offsets = ::lseek(opened.number, 0, SEEK_CUR) != -1 || errno != ESPIPE;
    const int flags = ::fcntl(opened.number, F_GETFL);
    opened.appends = flags != -1 && (flags & O_APPEND) != 0;
}

// Errno, or was_cancelled.
int open_path(loop& here, open_file& opened, open_mode mode, std::filesystem::perms permissions,
              deadline until) noexcept {
    if (here.refuses())
        return detail::was_cancelled;
    const int flags = open_flags(mode);
    if (flags == -1)
        return EINVAL;
    if (const int error = detail::check_path(opened.path))
        return error;
    file_operation operation{file_operation::call::open};
    operation.path = opened.path.c_str();
    operation.flags = flags | O_NONBLOCK; // or a FIFO would wait for its other end, and a thread with it
    operation.mode = static_cast<mode_t>(permissions & std::filesystem::perms::mask);
    int error = detail::perform(here, operation, until);
    if (error == EAGAIN) { // another process has a lease on it, and is given the time to end it
        operation.flags = flags;
        error = detail::perform(here, operation, until);
    }
    if (error != 0)
        return error;
    opened.number = static_cast<int>(operation.result);
    look_at(opened);
    // Of a regular file it means nothing, but io_uring takes it to mean that it must not wait.
    if (operation.flags & O_NONBLOCK)
        ::fcntl(opened.number, F_SETFL, flags);
    return 0;
}

// What can be read without waiting: bytes; -1: ask somebody who may wait; else minus an errno. At the end of the file, too:
// some kernels (5.9, 5.10) say 0 when a page is not there.
std::int64_t read_at_once(open_file& file, std::span<const iovec> window, std::uint64_t offset) noexcept {
    constexpr std::int64_t ask = -1;
    if (!file.reads_at_once.load(std::memory_order_relaxed))
        return ask;
    const ssize_t moved =
        ::preadv2(file.number, window.data(), static_cast<int>(window.size()), static_cast<off_t>(offset), RWF_NOWAIT);
    if (moved > 0)
        return moved;
    // The file system cannot tell, or the kernel or an emulator does not know the call.
    if (moved == -1 && (errno == EOPNOTSUPP || errno == ENOSYS))
        file.reads_at_once.store(false, std::memory_order_relaxed);
    return ask;
}

// One system call: bytes, or an error.
outcome move(loop& here, open_file& file, file_operation::call what, std::span<const iovec> window, std::size_t bytes,
             std::uint64_t offset, deadline until) noexcept {
    if (what == file_operation::call::read && bytes <= detail::most_copied_by_loop) {
        if (const std::int64_t moved = read_at_once(file, window, offset); moved > 0) {
            here.spend(detail::switches_per_system_call + static_cast<int>(moved / bytes_per_switch));
            return {static_cast<std::size_t>(moved), 0};
        }
    }
    file_operation operation{what};
    operation.number = file.number;
    operation.pieces = window.data();
    operation.piece_count = static_cast<int>(window.size());
    operation.bytes = bytes;
    operation.offset = offset;
    if (const int error = detail::perform(here, operation, until))
        return {0, error};
    if (operation.result == 0 && what == file_operation::call::write)
        return {0, EIO}; // a device that takes nothing and says nothing
    return {static_cast<std::size_t>(operation.result), 0};
}

// Like write(2) and read(2) on the whole of `buffers`, again and again for amount::all.
template <class Buffer>
outcome transfer(loop& here, std::shared_ptr<open_file> file, file_operation::call what,
                 std::span<const Buffer> buffers, std::uint64_t offset, amount wanted, deadline until) noexcept {
    if (here.refuses())
        return {0, detail::was_cancelled};
    if (!file)
        return {0, EBADF};
    if (!file->has_offsets)
        return {0, ESPIPE};
    std::size_t bytes = 0;
    for (pieces<Buffer> rest{buffers}; !rest.is_empty();) {
        if (offset > most_offset)
            return {bytes, EINVAL};
        const std::span<iovec> window = rest.window();
        const outcome moved = move(here, *file, what, window, rest.window_bytes(), offset, until);
        bytes += moved.bytes;
        if (moved.error != 0 || moved.bytes == 0 || wanted == amount::some)
            return {bytes, moved.error};
        offset += moved.bytes;
        rest.advance(moved.bytes);
        if (!rest.is_empty() && detail::cancellation_due(here.running()))
            return {bytes, detail::was_cancelled};
    }
    return {bytes, 0};
}

outcome read(loop& here, const std::shared_ptr<open_file>& file, std::span<std::byte> buffer, std::uint64_t offset,
             amount wanted, deadline until) noexcept {
    const mutable_buffer whole{buffer.data(), buffer.size()};
    return transfer(here, file, file_operation::call::read, std::span{&whole, 1}, offset, wanted, until);
}

outcome write(loop& here, const std::shared_ptr<open_file>& file, std::span<const std::byte> buffer,
              std::uint64_t offset, amount wanted, deadline until) noexcept {
    const const_buffer whole{buffer.data(), buffer.size()};
    return transfer(here, file, file_operation::call::write, std::span{&whole, 1}, offset, wanted, until);
}

outcome append_to(loop& here, const std::shared_ptr<open_file>& file, std::span<const std::byte> buffer,
                  deadline until) noexcept {
    if (file && !file->appends)
        return {0, EINVAL};
    return write(here, file, buffer, 0, amount::all, until);
}

// An operation on an open file that moves no bytes.
int operate(loop& here, std::shared_ptr<open_file> file, file_operation operation, deadline until) noexcept {
    if (here.refuses())
        return detail::was_cancelled;
    if (!file)
        return EBADF;
    operation.number = file->number;
    return detail::perform(here, operation, until);
}

int get_status(loop& here, const std::shared_ptr<open_file>& file, file_status& status, deadline until) noexcept {
    struct statx found {};
    file_operation operation{file_operation::call::status};
    operation.flags = AT_EMPTY_PATH;
    operation.status = &found;
    const int error = operate(here, file, operation, until);
    if (error == 0)
        status = detail::to_file_status(found);
    return error;
}

file_operation truncation(std::uint64_t size) noexcept {
    file_operation operation{file_operation::call::truncate};
    operation.length = size;
    return operation;
}

file_operation allocation(std::uint64_t offset, std::uint64_t size) noexcept {
    file_operation operation{file_operation::call::allocate};
    operation.offset = offset;
    operation.length = size;
    return operation;
}

// The two forms of every call: throwing, and with an error code.

std::filesystem::path name_of(const std::shared_ptr<open_file>& file) {
    return file ? file->path : std::filesystem::path{};
}

template <class Transfer>
std::size_t transferred(const std::shared_ptr<open_file>& file, const char* operation, Transfer transfer) {
    const std::shared_ptr<open_file> used = file; // whoever moves or closes the object meanwhile does not take the name
    const outcome done = transfer(loop::of_running_fiber(operation), used);
    if (done.error != 0)
        detail::raise_for(name_of(used), done, operation);
    return done.bytes;
}

template <class Transfer>
std::size_t transferred(const std::shared_ptr<open_file>& file, std::error_code& error, Transfer transfer) noexcept {
    loop* const here = loop::current_with_running_fiber();
    const outcome done = here ? transfer(*here, file) : outcome{0, EPERM};
    error = done.error == 0 ? std::error_code{} : detail::error_code_of(done.error);
    return done.bytes;
}

template <class Operation> void done(const std::shared_ptr<open_file>& file, const char* operation, Operation operate) {
    const std::shared_ptr<open_file> used = file;
    if (const int error = operate(loop::of_running_fiber(operation), used))
        detail::raise_for(name_of(used), error, operation);
}

template <class Operation>
void done(const std::shared_ptr<open_file>& file, std::error_code& error, Operation operate) noexcept {
    loop* const here = loop::current_with_running_fiber();
    const int failed = here ? operate(*here, file) : EPERM;
    error = failed == 0 ? std::error_code{} : detail::error_code_of(failed);
}

// Closes for good, whatever happens to the fiber. Errno.
int close_now(open_file& closing) noexcept {
    file_operation operation{file_operation::call::close};
    operation.number = std::exchange(closing.number, -1);
    if (loop* const here = loop::current_with_running_fiber()) {
        const detail::cancellation_pause to_the_end;
        const int error = detail::perform(*here, operation, deadline::never());
        if (error == 0 || operation.result != 0)
            return error == EINTR ? 0 : error; // Linux has closed it
    }
    // There is no loop, or no thread to be had.
    detail::make_system_call(operation);
    return operation.result == -EINTR ? 0 : static_cast<int>(-operation.result);
}

} // namespace

file::file(std::shared_ptr<open_file> opened) noexcept : open_(std::move(opened)) {}
file::file(file&&) noexcept = default;
file& file::operator=(file&&) noexcept = default;
file::~file() = default;

file::file(const std::filesystem::path& path, open_mode mode, std::filesystem::perms permissions, deadline until) {
    constexpr const char* operation = "io::file::open";
    loop& here = loop::of_running_fiber(operation);
    auto opened = std::make_shared<open_file>();
    opened->path = path;
    if (const int error = open_path(here, *opened, mode, permissions, until))
        detail::raise_for(path, error, operation);
    open_ = std::move(opened);
}

file file::open(const std::filesystem::path& path, open_mode mode, std::filesystem::perms permissions,
                std::error_code& error, deadline until) noexcept {
    try {
        loop* const here = loop::current_with_running_fiber();
        auto opened = std::make_shared<open_file>();
        opened->path = path;
        const int failed = here ? open_path(*here, *opened, mode, permissions, until) : EPERM;
        error = failed == 0 ? std::error_code{} : detail::error_code_of(failed);
        return failed == 0 ? file{std::move(opened)} : file{};
    } catch (const std::bad_alloc&) {
        error = detail::error_code_of(ENOMEM);
        return {};
    }
}

file file::adopt(int number, std::filesystem::path name) {
    if (number < 0)
        return {};
    auto opened = std::make_shared<open_file>();
    opened->path = std::move(name);
    opened->number = number;
    look_at(*opened);
    return file{std::move(opened)};
}

int file::native_handle() const noexcept {
    return open_ ? open_->number : -1;
}

std::filesystem::path file::path() const {
    return name_of(open_);
}

void file::close() {
    std::error_code error;
    const std::shared_ptr<open_file> closing = open_;
    close(error);
    if (error)
        throw std::filesystem::filesystem_error("io::file::close", name_of(closing), error);
}

void file::close(std::error_code& error) noexcept {
    error.clear();
    const std::shared_ptr<open_file> closing = std::move(open_);
    if (closing && closing.use_count() == 1) // else the last that uses it closes it
        error = detail::error_code_of(close_now(*closing));
}

std::size_t file::read_at(std::span<std::byte> buffer, std::uint64_t offset, deadline until) const {
    return transferred(open_, "io::file::read_at", [&](loop& here, const auto& used) noexcept {
        return read(here, used, buffer, offset, amount::some, until);
    });
}

std::size_t file::read_at(std::span<std::byte> buffer, std::uint64_t offset, std::error_code& error,
                          deadline until) const noexcept {
    return transferred(open_, error, [&](loop& here, const auto& used) noexcept {
        return read(here, used, buffer, offset, amount::some, until);
    });
}

std::size_t file::read_all_at(std::span<std::byte> buffer, std::uint64_t offset, deadline until) const {
    return transferred(open_, "io::file::read_all_at", [&](loop& here, const auto& used) noexcept {
        return read(here, used, buffer, offset, amount::all, until);
    });
}

std::size_t file::read_all_at(std::span<std::byte> buffer, std::uint64_t offset, std::error_code& error,
                              deadline until) const noexcept {
    return transferred(open_, error, [&](loop& here, const auto& used) noexcept {
        return read(here, used, buffer, offset, amount::all, until);
    });
}

std::size_t file::readv_at(std::span<const mutable_buffer> buffers, std::uint64_t offset, deadline until) const {
    return transferred(open_, "io::file::readv_at", [&](loop& here, const auto& used) noexcept {
        return transfer(here, used, file_operation::call::read, buffers, offset, amount::all, until);
    });
}

std::size_t file::readv_at(std::span<const mutable_buffer> buffers, std::uint64_t offset, std::error_code& error,
                           deadline until) const noexcept {
    return transferred(open_, error, [&](loop& here, const auto& used) noexcept {
        return transfer(here, used, file_operation::call::read, buffers, offset, amount::all, until);
    });
}

std::size_t file::write_at(std::span<const std::byte> buffer, std::uint64_t offset, deadline until) {
    return transferred(open_, "io::file::write_at", [&](loop& here, const auto& used) noexcept {
        return write(here, used, buffer, offset, amount::some, until);
    });
}

std::size_t file::write_at(std::span<const std::byte> buffer, std::uint64_t offset, std::error_code& error,
                           deadline until) noexcept {
    return transferred(open_, error, [&](loop& here, const auto& used) noexcept {
        return write(here, used, buffer, offset, amount::some, until);
    });
}

std::size_t file::write_all_at(std::span<const std::byte> buffer, std::uint64_t offset, deadline until) {
    return transferred(open_, "io::file::write_all_at", [&](loop& here, const auto& used) noexcept {
        return write(here, used, buffer, offset, amount::all, until);
    });
}

std::size_t file::write_all_at(std::span<const std::byte> buffer, std::uint64_t offset, std::error_code& error,
                               deadline until) noexcept {
    return transferred(open_, error, [&](loop& here, const auto& used) noexcept {
        return write(here, used, buffer, offset, amount::all, until);
    });
}

std::size_t file::writev_at(std::span<const const_buffer> buffers, std::uint64_t offset, deadline until) {
    return transferred(open_, "io::file::writev_at", [&](loop& here, const auto& used) noexcept {
        return transfer(here, used, file_operation::call::write, buffers, offset, amount::all, until);
    });
}

std::size_t file::writev_at(std::span<const const_buffer> buffers, std::uint64_t offset, std::error_code& error,
                            deadline until) noexcept {
    return transferred(open_, error, [&](loop& here, const auto& used) noexcept {
        return transfer(here, used, file_operation::call::write, buffers, offset, amount::all, until);
    });
}

std::size_t file::append(std::span<const std::byte> buffer, deadline until) {
    return transferred(open_, "io::file::append",
                       [&](loop& here, const auto& used) noexcept { return append_to(here, used, buffer, until); });
}

std::size_t file::append(std::span<const std::byte> buffer, std::error_code& error, deadline until) noexcept {
    return transferred(open_, error,
                       [&](loop& here, const auto& used) noexcept { return append_to(here, used, buffer, until); });
}

void file::sync(deadline until) {
    done(open_, "io::file::sync", [&](loop& here, const auto& used) noexcept {
        return operate(here, used, file_operation{file_operation::call::sync}, until);
    });
}

void file::sync(std::error_code& error, deadline until) noexcept {
    done(open_, error, [&](loop& here, const auto& used) noexcept {
        return operate(here, used, file_operation{file_operation::call::sync}, until);
    });
}

void file::sync_data(deadline until) {
    done(open_, "io::file::sync_data", [&](loop& here, const auto& used) noexcept {
        return operate(here, used, file_operation{file_operation::call::sync_data}, until);
    });
}

void file::sync_data(std::error_code& error, deadline until) noexcept {
    done(open_, error, [&](loop& here, const auto& used) noexcept {
        return operate(here, used, file_operation{file_operation::call::sync_data}, until);
    });
}

void file::truncate(std::uint64_t size, deadline until) {
    done(open_, "io::file::truncate",
         [&](loop& here, const auto& used) noexcept { return operate(here, used, truncation(size), until); });
}

void file::truncate(std::uint64_t size, std::error_code& error, deadline until) noexcept {
    done(open_, error,
         [&](loop& here, const auto& used) noexcept { return operate(here, used, truncation(size), until); });
}

void file::allocate(std::uint64_t offset, std::uint64_t size, deadline until) {
    done(open_, "io::file::allocate",
         [&](loop& here, const auto& used) noexcept { return operate(here, used, allocation(offset, size), until); });
}

void file::allocate(std::uint64_t offset, std::uint64_t size, std::error_code& error, deadline until) noexcept {
    done(open_, error,
         [&](loop& here, const auto& used) noexcept { return operate(here, used, allocation(offset, size), until); });
}

file_status file::status(deadline until) const {
    file_status found;
    done(open_, "io::file::status",
         [&](loop& here, const auto& used) noexcept { return get_status(here, used, found, until); });
    return found;
}

file_status file::status(std::error_code& error, deadline until) const noexcept {
    file_status found;
    done(open_, error, [&](loop& here, const auto& used) noexcept { return get_status(here, used, found, until); });
    return found;
}

bool files_use_io_uring() {
    loop& here = loop::of_running_fiber("io::files_use_io_uring");
    return static_cast<detail::ev_driver&>(here.driver()).files() != nullptr;
}

} // namespace coir::io
