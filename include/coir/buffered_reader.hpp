#pragma once

#include <coir/borrowed_descriptor.hpp>
#include <coir/deadline.hpp>
#include <coir/detail/stream_reference.hpp>
#include <coir/detail/text_transfers.hpp>
#include <coir/export.hpp>
#include <coir/stream.hpp>

#include <concepts>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <system_error>
#include <utility>

namespace coir::io {

/// Reads lines, and other pieces whose size is known only from their content, from anything with read_some(): descriptors, TCP
/// and TLS streams. Is itself such a stream. The source must outlive it, and stay where it is.
///
/// Suspension: when a call needs bytes that are not in the buffer, and the source waits. Deadline: std::errc::timed_out.
/// Cancellation: coir::cancelled, checked when a call turns to the source; with a std::error_code argument
/// std::errc::operation_canceled. Errors: io::transfer_error with what the source reports, naming the call. However a call
/// ends, nothing is lost: bytes that it has not delivered are in the buffer, and the next call, of whatever kind, continues
/// with them. Only inside coir::run, as in io.hpp. To be used by one fiber at a time.
///
///     coir::io::buffered_reader lines{coir::io::standard_input()};
///     while (const auto line = lines.read_line())
///         count_words(*line);
class COIR_EXPORT buffered_reader : public detail::text_reads<buffered_reader> {
public:
    static constexpr std::size_t default_capacity = 8192;

    /// `capacity` is the size of the buffer, and therefore the maximum length of a line. Reads nothing yet. Throws
    /// std::bad_alloc.
    template <readable_stream Stream>
    explicit buffered_reader(Stream& source, std::size_t capacity = default_capacity)
        : buffered_reader(detail::source_reference{source}, capacity) {}
    /// A descriptor number is copied.
    explicit buffered_reader(borrowed_descriptor source, std::size_t capacity = default_capacity)
        : buffered_reader(detail::source_reference{source}, capacity) {}
    template <readable_stream Stream>
        requires(!std::same_as<Stream, borrowed_descriptor>)
    explicit buffered_reader(Stream&& source, std::size_t capacity = default_capacity) = delete; // it would be gone

    ~buffered_reader();
    buffered_reader(const buffered_reader&) = delete;
    buffered_reader& operator=(const buffered_reader&) = delete;

    [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }

    /// Bytes that have been read from the source and not consumed yet. Valid until the next call other than consume().
    [[nodiscard]] std::span<const std::byte> buffered() const noexcept {
        return {buffer_.get() + begin_, buffer_.get() + end_};
    }

    /// Reads until buffered() is at least `count` bytes, and returns it; less only at the end of file. More than capacity():
    /// std::errc::message_size.
    std::span<const std::byte> peek(std::size_t count = 1, deadline until = {});
    std::span<const std::byte> peek(std::size_t count, std::error_code& error, deadline until = {}) noexcept;

    /// Removes the first `count` bytes from buffered(). Throws std::logic_error if there are fewer.
    void consume(std::size_t count);

    /// The bytes up to and including the next `delimiter`. At the end of file, what is left, without a delimiter, and after
    /// that nothing. Valid until the next call. No delimiter within capacity() bytes: std::errc::message_size; the bytes remain
    /// in the buffer, and read_some() returns them. An empty delimiter: std::errc::invalid_argument.
    std::string_view read_until(std::string_view delimiter, deadline until = {});
    std::string_view read_until(std::string_view delimiter, std::error_code& error, deadline until = {}) noexcept;

    /// The next line without its end, which is "\n" or "\r\n"; the last line may have none. std::nullopt at the end of file
    /// (and on an error). Otherwise as read_until().
    std::optional<std::string_view> read_line(deadline until = {});
    std::optional<std::string_view> read_line(std::error_code& error, deadline until = {}) noexcept;

    /// As the functions of these names in io.hpp, taking from the buffer first. Large reads bypass it.
    std::size_t read_some(std::span<std::byte> buffer, deadline until = {});
    std::size_t read_some(std::span<std::byte> buffer, std::error_code& error, deadline until = {}) noexcept;
    std::size_t read_all(std::span<std::byte> buffer, deadline until = {});
    std::size_t read_all(std::span<std::byte> buffer, std::error_code& error, deadline until = {}) noexcept;

    /// As read_all(), but the end of file before `buffer` is full is an error: std::errc::no_message_available. What was read
    /// is in `buffer`; the error says how much.
    void read_exactly(std::span<std::byte> buffer, deadline until = {});
    std::size_t read_exactly(std::span<std::byte> buffer, std::error_code& error, deadline until = {}) noexcept;
    /// The same into a std::span<char>.
    using text_reads::read_all;
    using text_reads::read_some;
    template <class... How>
    auto read_exactly(std::span<char> text, How&&... how) noexcept((std::same_as<How, std::error_code&> || ...)) {
        return read_exactly(std::as_writable_bytes(text), std::forward<How>(how)...);
    }

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
