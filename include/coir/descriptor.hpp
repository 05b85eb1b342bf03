#pragma once

#include <coir/borrowed_descriptor.hpp>
#include <coir/export.hpp>

#include <system_error>
#include <utility>

namespace coir::detail {
struct ownership;
}

namespace coir::io {

/// Owner of a file descriptor: its destructor closes it. The descriptor becomes non-blocking when adopted. It belongs to the
/// loop of the thread that adopted it until it is released: while that loop runs, it may be closed only there.
///
/// Because nobody else closes the number, the loop may keep it registered between waits and skip a read that would find
/// nothing: an owned descriptor costs fewer system calls than a bare int in the functions of io.hpp. Those accept `get()`, too.
/// It reads and writes as a borrowed_descriptor does, and converts to one. Suspension, deadlines, cancellation, errors, several
/// fibers at once: see io.hpp.
///
///     coir::io::descriptor in{::open("pipe", O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
///     const std::size_t n = in.read_some(buffer, 5s);
class COIR_EXPORT descriptor : public borrowed_descriptor {
public:
    /// Empty: get() is -1.
    descriptor() noexcept = default;

    /// Adopts `number`: switches it to non-blocking mode and closes it at the end. Throws std::system_error if it is
    /// not open, std::logic_error outside coir::run; then it has not been adopted.
    explicit descriptor(int number);

    descriptor(descriptor&& other) noexcept : borrowed_descriptor(std::exchange(other.number_, -1)) {}
    descriptor& operator=(descriptor&& other) noexcept {
        descriptor old{std::move(*this)};
        number_ = std::exchange(other.number_, -1);
        return *this;
    }

    /// Closes, ignoring errors; whoever still waits gets std::errc::bad_file_descriptor.
    ~descriptor();

    /// Releases the descriptor without closing it; it stays in non-blocking mode. Waiting fibers get
    /// std::errc::bad_file_descriptor.
    [[nodiscard]] int release() noexcept;

    /// Closes now. Throws std::system_error; closed in any case. Does nothing if empty.
    void close();
    void close(std::error_code& error) noexcept;

private:
    friend struct detail::ownership;
};

} // namespace coir::io
