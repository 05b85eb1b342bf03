#include <coir/file_watcher.hpp>

#include "io/errors.hpp"
#include "io/operation.hpp"
#include "sched/loop.hpp"

#include <coir/descriptor.hpp>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <new>
#include <sys/inotify.h>
#include <unistd.h>
#include <utility>

namespace coir {
namespace detail {

static_assert(static_cast<std::uint32_t>(io::file_change::all) == IN_ALL_EVENTS);
static_assert(static_cast<std::uint32_t>(io::file_change::accessed) == IN_ACCESS);
static_assert(static_cast<std::uint32_t>(io::file_change::modified) == IN_MODIFY);
static_assert(static_cast<std::uint32_t>(io::file_change::attributes) == IN_ATTRIB);
static_assert(static_cast<std::uint32_t>(io::file_change::closed_after_writing) == IN_CLOSE_WRITE);
static_assert(static_cast<std::uint32_t>(io::file_change::closed_unwritten) == IN_CLOSE_NOWRITE);
static_assert(static_cast<std::uint32_t>(io::file_change::opened) == IN_OPEN);
static_assert(static_cast<std::uint32_t>(io::file_change::moved_from) == IN_MOVED_FROM);
static_assert(static_cast<std::uint32_t>(io::file_change::moved_to) == IN_MOVED_TO);
static_assert(static_cast<std::uint32_t>(io::file_change::created) == IN_CREATE);
static_assert(static_cast<std::uint32_t>(io::file_change::removed) == IN_DELETE);
static_assert(static_cast<std::uint32_t>(io::file_change::self_removed) == IN_DELETE_SELF);
static_assert(static_cast<std::uint32_t>(io::file_change::self_moved) == IN_MOVE_SELF);
static_assert(static_cast<std::uint32_t>(io::file_change::unmounted) == IN_UNMOUNT);
static_assert(static_cast<std::uint32_t>(io::file_change::lost) == IN_Q_OVERFLOW);
static_assert(static_cast<std::uint32_t>(io::file_change::unwatched) == IN_IGNORED);
static_assert(static_cast<std::uint32_t>(io::file_change::is_directory) == IN_ISDIR);

namespace {

// Before anything is made: the file_watcher would be of no use.
int make_inotify() {
    static_cast<void>(loop::of_running_fiber("io::file_watcher"));
    const int made = ::inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (made == -1)
        throw std::system_error(errno, std::generic_category(), "io::file_watcher");
    return made;
}

} // namespace

/// The inotify descriptor, and what was read from it and has not been asked for: a read returns several events. Stays where it
/// is while a file_watcher is moved.
class watched_files {
public:
    /// Takes `number` over if it does not throw.
    explicit watched_files(int number) : descriptor_(number) {}

    [[nodiscard]] int number() const noexcept { return descriptor_.get(); }

    /// The next event: true; or an errno.
    bool take(io::file_event& event) noexcept {
        if (position_ == size_ && !fill())
            return false;
        inotify_event head; // the buffer is aligned for one, but a copy needs no cast
        std::memcpy(&head, buffer_.data() + position_, sizeof head);
        const char* const name = buffer_.data() + position_ + sizeof head;
        try {
            event.name.assign(name, head.len == 0 ? 0 : ::strnlen(name, head.len)); // padded with zeros
        } catch (const std::bad_alloc&) {
            errno = ENOMEM; // it is still there
            return false;
        }
        position_ += sizeof head + head.len;
        event.watch = io::file_watch{head.wd};
        event.what = static_cast<io::file_change>(head.mask);
        event.pair = head.cookie;
        return true;
    }

private:
    bool fill() noexcept {
        const ssize_t got = ::read(number(), buffer_.data(), buffer_.size());
        if (got <= 0)
            return false;
        position_ = 0;
        size_ = static_cast<std::size_t>(got);
        return true;
    }

    io::descriptor descriptor_;
    std::size_t position_ = 0;
    std::size_t size_ = 0;
    std::array<char, 4096> buffer_; // the longest event has 272 bytes
};

namespace {

class taking_event final : public operation {
public:
    explicit taking_event(watched_files& files) noexcept : operation(direction::read), files_(files) {}

    bool attempt(int /*number*/) noexcept override { return files_.take(event); }

    io::file_event event;

private:
    watched_files& files_;
};

} // namespace
} // namespace detail

namespace io {

file_watcher::file_watcher() {
    const int made = detail::make_inotify();
    try {
        files_ = std::make_unique<detail::watched_files>(made);
    } catch (...) {
        ::close(made);
        throw;
    }
}

file_watcher::file_watcher(std::error_code& error) noexcept {
    error.clear();
    if (!detail::loop::current_with_running_fiber()) {
        error = detail::error_code_of(EPERM);
        return;
    }
    error = detail::error_thrown_by([&] { *this = file_watcher{}; });
}

file_watcher::file_watcher(file_watcher&& other) noexcept = default;
file_watcher& file_watcher::operator=(file_watcher&& other) noexcept = default;
file_watcher::~file_watcher() = default;

file_watch file_watcher::add(const std::string& path, file_change changes) {
    std::error_code error;
    const file_watch made = add(path, changes, error);
    if (error)
        throw std::system_error(error, "watch " + path);
    return made;
}

file_watch file_watcher::add(const std::string& path, file_change changes, std::error_code& error) noexcept {
    const auto wanted = static_cast<std::uint32_t>(changes & file_change::all);
    int made = -1;
    if (wanted == 0 || path.find('\0') != std::string::npos)
        errno = EINVAL;
    else if (!files_)
        errno = EBADF;
    else // without IN_MASK_CREATE a second watch of a file would change the first in silence
        made = ::inotify_add_watch(files_->number(), path.c_str(), wanted | IN_MASK_CREATE);
    error = detail::error_code_of(made == -1 ? errno : 0);
    return file_watch{made};
}

void file_watcher::remove(file_watch watch) {
    std::error_code error;
    remove(watch, error);
    if (error)
        throw std::system_error(error, "io::file_watcher::remove");
}

void file_watcher::remove(file_watch watch, std::error_code& error) noexcept {
    if (!files_)
        error = detail::error_code_of(EBADF);
    else
        error = detail::error_code_of(::inotify_rm_watch(files_->number(), static_cast<int>(watch)) == -1 ? errno : 0);
}

file_event file_watcher::next(deadline until) {
    detail::loop& here = detail::loop::of_running_fiber("io::file_watcher::next");
    std::error_code error;
    file_event event = next(error, until);
    if (error == std::errc::operation_canceled)
        detail::throw_cancelled(here.running(), "io::file_watcher::next");
    if (error)
        throw std::system_error(error, "io::file_watcher::next");
    return event;
}

file_event file_watcher::next(std::error_code& error, deadline until) noexcept {
    detail::loop* const here = detail::loop::current_with_running_fiber();
    if (!here || !files_) {
        error = detail::error_code_of(here ? EBADF : EPERM);
        return {};
    }
    detail::taking_event work{*files_};
    error = detail::error_code_of(detail::perform(*here, files_->number(), work, until).error);
    return error ? file_event{} : std::move(work.event);
}

} // namespace io
} // namespace coir
