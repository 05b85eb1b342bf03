#pragma once

#include <coir/borrowed_descriptor.hpp>
#include <coir/deadline.hpp>
#include <coir/detail/stream_reference.hpp>
#include <coir/export.hpp>
#include <coir/stream.hpp>

#include <concepts>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <system_error>

namespace coir::io {

/// Reads lines, and other pieces whose size only their content tells, from anything with read_some(): descriptors, TCP and
/// TLS streams. Itself such a stream. The source must outlive it, and stay where it is.
///
/// Suspension: when a call needs bytes that are not in the buffer, and the source waits. Deadline: std::errc::timed_out.
/// Cancellation: coir::cancelled, looked at when a call turns to the source; with a std::error_code argument
/// std::errc::operation_canceled. Errors: io::transfer_error with what the source reports, naming the call.
/// Whatever ends a call, nothing is lost: bytes that it has not delivered are in the buffer, and the next call, of whatever
/// kind, goes on with them. Only inside coir::run, as in io.hpp. By one fiber at a time.
///
///     coir::io::buffered_reader lines{coir::io::standard_input()};
///     while (const auto line = lines.read_line())
///         count_words(*line);
class COIR_EXPORT buffered_reader {
public:
    static constexpr std::size_t default_capacity = 8192;

    /// `capacity` is the size of the buffer, and so of the longest line. Reads nothing yet. Throws std::bad_alloc.
    template <readable_stream Stream>
    explicit buffered_reader(Stream& source, std::size_t capacity = default_capacity)
        : buffered_reader(detail::source_reference{source}, capacity) {}
    /// A number is copied.
    explicit buffered_reader(borrowed_descriptor source, std::size_t capacity = default_capacity)
        : buffered_reader(detail::source_reference{source}, capacity) {}
    template <readable_stream Stream>
        requires(!std::same_as<Stream, borrowed_descriptor>)
    explicit buffered_reader(Stream&& source, std::size_t capacity = default_capacity) = delete; // it would be gone

    ~buffered_reader();
    buffered_reader(const buffered_reader&) = delete;
    buffered_reader& operator=(const buffered_reader&) = delete;

    [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }

    /// What has been read from the source and not from here. Valid until the next call but consume().
    [[nodiscard]] std::span<const std::byte> buffered() const noexcept {
        return {buffer_.get() + begin_, buffer_.get() + end_};
    }

    /// As buffered(), when that is at least `count` bytes; less only at the end of file. More than capacity():
    /// std::errc::message_size.
    std::span<const std::byte> peek(std::size_t count = 1, deadline until = {});
    std::span<const std::byte> peek(std::size_t count, std::error_code& error, deadline until = {}) noexcept;

    /// Takes the first `count` bytes out of buffered(). Throws std::logic_error if there are not so many.
    void consume(std::size_t count);

    /// The bytes up to the next `delimiter`, and that as well. At the end of file what is left, without a delimiter,
    /// and then nothing. Valid until the next call.
    /// Not within capacity() bytes: std::errc::message_size; they are in the buffer, and read_some() takes them. An empty
    /// delimiter: std::errc::invalid_argument.
    std::string_view read_until(std::string_view delimiter, deadline until = {});
    std::string_view read_until(std::string_view delimiter, std::error_code& error, deadline until = {}) noexcept;

    /// The next line without its end, which is "\n" or "\r\n"; the last line may have none. std::nullopt at the end of file
    /// (and on an error). Otherwise as read_until().
    std::optional<std::string_view> read_line(deadline until = {});
    std::optional<std::string_view> read_line(std::error_code& error, deadline until = {}) noexcept;

    /// As the functions of these names in io.hpp, from the buffer first. Large pieces do not pass through it.
    std::size_t read_some(std::span<std::byte> buffer, deadline until = {});
    std::size_t read_some(std::span<std::byte> buffer, std::error_code& error, deadline until = {}) noexcept;
    std::size_t read_all(std::span<std::byte> buffer, deadline until = {});
    std::size_t read_all(std::span<std::byte> buffer, std::error_code& error, deadline until = {}) noexcept;

    /// As read_all(), but the end of file before `buffer` is full is an error: std::errc::no_message_available. What had come
    /// is in `buffer`; the error says how much.
    void read_exactly(std::span<std::byte> buffer, deadline until = {});
    std::size_t read_exactly(std::span<std::byte> buffer, std::error_code& error, deadline until = {}) noexcept;

private:
    buffered_reader(detail::source_reference source, std::size_t capacity);

    std::size_t fill(std::error_code& error, deadline until) noexcept;
    std::string_view take(std::size_t count) noexcept;

    detail::source_reference source_;
    std::unique_ptr<std::byte[]> buffer_;
    std::size_t capacity_;
    std::size_t begin_ = 0; // of what is buffered
    std::size_t end_ = 0;
};

} // namespace coir::io
