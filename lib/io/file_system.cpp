#include <coir/file_system.hpp>

#include "io/file_errors.hpp"
#include "io/file_operation.hpp"
#include "io/file_status.hpp"
#include "io/file_threads.hpp"

#include <algorithm>
#include <cerrno>
#include <dirent.h>
#include <exception>
#include <fcntl.h>
#include <string_view>
#include <sys/stat.h>
#include <utility>

namespace coir::io {

using detail::file_operation;
using detail::loop;

namespace {

// An operation that needs no open file. Errno, or was_cancelled.
int carry_out(loop& here, file_operation& operation, deadline until) noexcept {
    if (here.refuses())
        return detail::was_cancelled;
    return detail::perform(here, operation, until);
}

int get_status(loop& here, const std::filesystem::path& path, int flags, file_status& status, deadline until) noexcept {
    struct statx found {};
    file_operation operation{file_operation::call::status};
    operation.number = AT_FDCWD;
    operation.path = path.c_str();
    operation.flags = flags;
    operation.status = &found;
    const int error = carry_out(here, operation, until);
    if (error == 0)
        status = detail::to_file_status(found);
    return error;
}

int change_name(loop& here, const std::filesystem::path& from, const std::filesystem::path& to,
                deadline until) noexcept {
    if (const int error = std::max(detail::check_path(from), detail::check_path(to)))
        return error;
    file_operation operation{file_operation::call::rename};
    operation.path = from.c_str();
    operation.second_path = to.c_str();
    return carry_out(here, operation, until);
}

int remove_one(loop& here, const std::filesystem::path& path, bool& existed, deadline until) noexcept {
    file_operation operation{file_operation::call::remove};
    operation.path = path.c_str();
    int error = carry_out(here, operation, until);
    if (error == EISDIR) {
        operation.flags = AT_REMOVEDIR;
        error = carry_out(here, operation, until);
    }
    existed = error == 0;
    return error == ENOENT ? 0 : error;
}

int make_directory(loop& here, const std::filesystem::path& path, bool& made, deadline until) noexcept {
    file_operation operation{file_operation::call::create_directory};
    operation.path = path.c_str();
    operation.mode = 0777;
    const int error = carry_out(here, operation, until);
    made = error == 0;
    if (error != EEXIST)
        return error;
    file_status found;
    const int unknown = get_status(here, path, 0, found, until);
    return unknown == 0 && found.type == std::filesystem::file_type::directory ? 0 : error;
}

// Some hundred entries of a directory, with every call.
class listing final : public detail::offloaded_call {
public:
    listing(const std::filesystem::path& path, std::vector<directory_entry>& entries) noexcept
        : path_(path), entries_(entries) {}
    ~listing() override {
        if (directory_)
            ::closedir(directory_);
    }

    void call() override {
        if (!directory_ && !(directory_ = ::opendir(path_.c_str()))) {
            error_ = errno;
            return;
        }
        for (int i = 0; i < entries_at_once; ++i) {
            errno = 0;
            const dirent* const found = ::readdir(directory_); // NOLINT(concurrency-mt-unsafe): it is nobody else's
            if (!found) {
                error_ = errno;
                at_end_ = true;
                return;
            }
            const std::string_view name{found->d_name};
            if (name != "." && name != "..")
                entries_.push_back({name, detail::to_file_type(DTTOIF(found->d_type))});
        }
    }

    [[nodiscard]] bool is_done() const noexcept { return at_end_ || error_ != 0; }
    [[nodiscard]] int error() const noexcept { return error_; }

private:
    static constexpr int entries_at_once = 512;

    const std::filesystem::path& path_;
    std::vector<directory_entry>& entries_;
    DIR* directory_ = nullptr;
    int error_ = 0;
    bool at_end_ = false;
};

int list(loop& here, const std::filesystem::path& path, std::vector<directory_entry>& entries,
         deadline until) noexcept {
    listing work{path, entries};
    do {
        if (!until.is_never() && until.has_passed())
            return ETIMEDOUT;
        work.ended = false;
        if (const int error = detail::lend_to_thread(here, work, until))
            return error;
        if (std::exchange(work.failure, nullptr))
            return ENOMEM;
    } while (!work.is_done());
    return work.error();
}

// How large it is, if that can be said without asking a server.
std::uint64_t probable_size(const file& opened) noexcept {
    struct statx found {};
    return ::statx(opened.native_handle(), "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_SIZE, &found) == 0
               ? found.stx_size
               : 0;
}

// What is behind the size that the system has told is not looked for: then the end costs no further call. `read` reads all it
// can into a buffer, less at the end or after an error.
template <class Read> void read_to_end(const file& opened, std::string& contents, Read read) {
    constexpr std::uint64_t least = 4096;
    const std::uint64_t size = probable_size(opened);
    std::size_t have = 0;
    for (bool is_complete = false; !is_complete;) {
        const std::size_t wanted = size > have ? size - have : std::max<std::uint64_t>(least, have);
        contents.resize(have + wanted);
        const std::size_t moved = read(std::as_writable_bytes(std::span{contents}.subspan(have)), have);
        have += moved;
        is_complete = moved < wanted || have == size;
    }
    contents.resize(have);
}

constexpr open_mode to_replace = open_mode::write | open_mode::create | open_mode::truncate;

// The two forms of every call: throwing, and with an error code.

template <class Operation> void done(const std::filesystem::path& path, const char* operation, Operation operate) {
    loop& here = loop::of_running_fiber(operation);
    const int wrong = detail::check_path(path);
    if (const int error = wrong ? wrong : operate(here))
        detail::raise_for(path, error, operation);
}

template <class Operation>
void done(const std::filesystem::path& path, std::error_code& error, Operation operate) noexcept {
    loop* const here = loop::current_with_running_fiber();
    const int wrong = here ? detail::check_path(path) : EPERM;
    const int failed = wrong ? wrong : operate(*here);
    error = failed == 0 ? std::error_code{} : detail::error_code_of(failed);
}

} // namespace

file_status status(const std::filesystem::path& path, deadline until) {
    file_status found;
    done(path, "io::status", [&](loop& here) noexcept { return get_status(here, path, 0, found, until); });
    return found;
}

file_status status(const std::filesystem::path& path, std::error_code& error, deadline until) noexcept {
    file_status found;
    done(path, error, [&](loop& here) noexcept { return get_status(here, path, 0, found, until); });
    return found;
}

file_status link_status(const std::filesystem::path& path, deadline until) {
    file_status found;
    done(path, "io::link_status",
         [&](loop& here) noexcept { return get_status(here, path, AT_SYMLINK_NOFOLLOW, found, until); });
    return found;
}

file_status link_status(const std::filesystem::path& path, std::error_code& error, deadline until) noexcept {
    file_status found;
    done(path, error, [&](loop& here) noexcept { return get_status(here, path, AT_SYMLINK_NOFOLLOW, found, until); });
    return found;
}

void rename(const std::filesystem::path& from, const std::filesystem::path& to, deadline until) {
    constexpr const char* operation = "io::rename";
    loop& here = loop::of_running_fiber(operation);
    const int error = change_name(here, from, to, until);
    if (error == detail::was_cancelled)
        detail::raise_for(from, error, operation);
    if (error != 0)
        throw std::filesystem::filesystem_error(operation, from, to, detail::error_code_of(error));
}

void rename(const std::filesystem::path& from, const std::filesystem::path& to, std::error_code& error,
            deadline until) noexcept {
    done(from, error, [&](loop& here) noexcept { return change_name(here, from, to, until); });
}

bool remove(const std::filesystem::path& path, deadline until) {
    bool existed = false;
    done(path, "io::remove", [&](loop& here) noexcept { return remove_one(here, path, existed, until); });
    return existed;
}

bool remove(const std::filesystem::path& path, std::error_code& error, deadline until) noexcept {
    bool existed = false;
    done(path, error, [&](loop& here) noexcept { return remove_one(here, path, existed, until); });
    return existed;
}

bool create_directory(const std::filesystem::path& path, deadline until) {
    bool made = false;
    done(path, "io::create_directory", [&](loop& here) noexcept { return make_directory(here, path, made, until); });
    return made;
}

bool create_directory(const std::filesystem::path& path, std::error_code& error, deadline until) noexcept {
    bool made = false;
    done(path, error, [&](loop& here) noexcept { return make_directory(here, path, made, until); });
    return made;
}

std::vector<directory_entry> list_directory(const std::filesystem::path& path, deadline until) {
    std::vector<directory_entry> entries;
    done(path, "io::list_directory", [&](loop& here) noexcept { return list(here, path, entries, until); });
    return entries;
}

std::vector<directory_entry> list_directory(const std::filesystem::path& path, std::error_code& error,
                                            deadline until) noexcept {
    std::vector<directory_entry> entries;
    done(path, error, [&](loop& here) noexcept { return list(here, path, entries, until); });
    return entries;
}

std::string read_file(const std::filesystem::path& path, deadline until) {
    const file opened{path, open_mode::read, default_permissions, until};
    std::string contents;
    read_to_end(opened, contents, [&](std::span<std::byte> buffer, std::uint64_t offset) {
        return opened.read_all_at(buffer, offset, until);
    });
    return contents;
}

std::string read_file(const std::filesystem::path& path, std::error_code& error, deadline until) noexcept {
    std::string contents;
    try {
        const file opened = file::open(path, open_mode::read, error, until);
        if (!error)
            read_to_end(opened, contents, [&](std::span<std::byte> buffer, std::uint64_t offset) {
                return opened.read_all_at(buffer, offset, error, until);
            });
    } catch (const std::exception&) { // no memory, or more than a string can have
        error = detail::error_code_of(ENOMEM);
    }
    return contents;
}

std::size_t write_file(const std::filesystem::path& path, std::span<const std::byte> contents, deadline until) {
    file opened{path, to_replace, default_permissions, until};
    const std::size_t written = opened.write_all_at(contents, 0, until);
    opened.close();
    return written;
}

std::size_t write_file(const std::filesystem::path& path, std::span<const std::byte> contents, std::error_code& error,
                       deadline until) noexcept {
    file opened = file::open(path, to_replace, error, until);
    if (error)
        return 0;
    const std::size_t written = opened.write_all_at(contents, 0, error, until);
    if (!error)
        opened.close(error);
    return written;
}

} // namespace coir::io
