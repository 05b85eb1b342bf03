#pragma once

#include <coir/borrowed_descriptor.hpp>
#include <coir/deadline.hpp>
#include <coir/detail/stream_reference.hpp>
#include <coir/export.hpp>
#include <coir/stream.hpp>

#include <concepts>
#include <cstddef>
#include <memory>
#include <span>
#include <string_view>
#include <system_error>

namespace coir::io {

/// Collects small pieces and writes them together, to anything with write_all(): descriptors, TCP and TLS streams. Is itself
/// such a stream. The sink must outlive it, and stay where it is.
///
/// **Call flush() at the end**; it reports errors. The destructor does not write: it could neither wait nor report a failure,
/// and half a message must not follow an earlier failure. If bytes are left in the buffer, it prints a line on stderr with
/// their number and the fiber, unless an exception is unwinding or the last call has failed (then the loss has been reported).
/// Call discard() if the loss is intended.
///
/// Suspension: when the buffer is full, or flushed, and the sink waits. Deadline: std::errc::timed_out. Cancellation:
/// coir::cancelled, checked when a call turns to the sink; with a std::error_code argument std::errc::operation_canceled.
/// Errors: io::transfer_error with what the sink reports, naming the call. However a call ends, nothing is lost or written
/// twice: what the sink has not accepted stays in the buffer, and the next call continues with it. Only inside coir::run, as in
/// io.hpp. To be used by one fiber at a time.
///
///     coir::io::buffered_writer out{coir::io::standard_output()};
///     for (const std::string& line : lines)
///         out.write_all(line + "\n");
///     out.flush();
class COIR_EXPORT buffered_writer {
public:
    static constexpr std::size_t default_capacity = 8192;

    /// `capacity` is the size of the buffer. Throws std::bad_alloc.
    template <writable_stream Stream>
    explicit buffered_writer(Stream& sink, std::size_t capacity = default_capacity)
        : buffered_writer(detail::sink_reference{sink}, capacity) {}
    /// A descriptor number is copied.
    explicit buffered_writer(borrowed_descriptor sink, std::size_t capacity = default_capacity)
        : buffered_writer(detail::sink_reference{sink}, capacity) {}
    template <writable_stream Stream>
        requires(!std::same_as<Stream, borrowed_descriptor>)
    explicit buffered_writer(Stream&& sink, std::size_t capacity = default_capacity) = delete; // it would be gone

    /// Never writes and never suspends: see above.
    ~buffered_writer();
    buffered_writer(const buffered_writer&) = delete;
    buffered_writer& operator=(const buffered_writer&) = delete;

    [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }

    /// Bytes that have not been written to the sink yet. Valid until the next call.
    [[nodiscard]] std::span<const std::byte> buffered() const noexcept {
        return {buffer_.get() + begin_, buffer_.get() + end_};
    }

    /// Accepts the whole `piece`. If it does not fit, it goes to the sink right after the buffered bytes, without being copied,
    /// and in one system call if the sink supports that (writev). Returns its size; on an error, how much of it was accepted
    /// (bytes_transferred() of transfer_error, transfer_cancelled): the caller must pass the rest again.
    std::size_t write_all(std::span<const std::byte> piece, deadline until = {});
    std::size_t write_all(std::span<const std::byte> piece, std::error_code& error, deadline until = {}) noexcept;
    std::size_t write_all(std::string_view text, deadline until = {}) {
        return write_all(std::as_bytes(std::span{text}), until);
    }
    std::size_t write_all(std::string_view text, std::error_code& error, deadline until = {}) noexcept {
        return write_all(std::as_bytes(std::span{text}), error, until);
    }

    /// Writes what is buffered. Returns the number of bytes that the sink accepted in this call; the rest is still buffered.
    std::size_t flush(deadline until = {});
    std::size_t flush(std::error_code& error, deadline until = {}) noexcept;

    /// Discards what is buffered.
    void discard() noexcept { begin_ = end_ = 0; }

private:
    buffered_writer(detail::sink_reference sink, std::size_t capacity);

    std::size_t send(std::span<const std::byte> piece, std::error_code& error, deadline until) noexcept;

    detail::sink_reference sink_;
    std::unique_ptr<std::byte[]> buffer_;
    std::size_t capacity_;
    std::size_t begin_ = 0; // of what is buffered
    std::size_t end_ = 0;
    bool has_failed_ = false; // the last call; it has told
    int exceptions_;          // passing when it was made
};

} // namespace coir::io
