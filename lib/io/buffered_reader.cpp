#include <coir/buffered_reader.hpp>

#include "io/call.hpp"
#include "io/place.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string>

namespace coir::io {
namespace {

// The throwing forms: `call(error)` is the other one; bytes() how many of them it has delivered.
template <class Call, class Bytes>
auto throwing(const char* operation, const detail::source_reference& source, Call call, Bytes bytes) {
    static_cast<void>(detail::loop::of_running_fiber(operation));
    std::error_code error;
    auto result = call(error);
    if (error)
        detail::raise(error, operation, source.handle(), bytes(result));
    return result;
}

template <class Call> auto throwing(const char* operation, const detail::source_reference& source, Call call) {
    return throwing(operation, source, call, [](const auto&) { return std::size_t{0}; });
}

std::string too_long(const std::string& operation, std::size_t capacity) {
    return operation + ": more than " + std::to_string(capacity) + " bytes";
}

} // namespace

buffered_reader::buffered_reader(detail::source_reference source, std::size_t capacity)
    : source_(source), buffer_(std::make_unique_for_overwrite<std::byte[]>(capacity)), capacity_(capacity) {}

buffered_reader::~buffered_reader() = default;

// Reads once, behind what is there. There must be room. 0 at the end of file.
std::size_t buffered_reader::fill(std::error_code& error, deadline until) noexcept {
    if (end_ == capacity_) {
        std::memmove(buffer_.get(), buffer_.get() + begin_, end_ - begin_);
        end_ -= begin_;
        begin_ = 0;
    }
    const std::size_t size = source_.read({buffer_.get() + end_, buffer_.get() + capacity_}, error, until);
    end_ += size;
    return size;
}

// The memory stays as it is until the next fill().
std::string_view buffered_reader::take(std::size_t count) noexcept {
    const std::string_view taken{reinterpret_cast<const char*>(buffer_.get() + begin_), count};
    begin_ += count;
    if (begin_ == end_)
        begin_ = end_ = 0;
    return taken;
}

std::span<const std::byte> buffered_reader::peek(std::size_t count, std::error_code& error, deadline until) noexcept {
    error.clear();
    if (count > capacity_)
        error = std::make_error_code(std::errc::message_size);
    else
        while (buffered().size() < count && fill(error, until) != 0 && !error) {}
    return buffered();
}

void buffered_reader::consume(std::size_t count) {
    if (count > buffered().size())
        throw std::logic_error("io::buffered_reader::consume: more than is buffered");
    take(count);
}

std::string_view buffered_reader::read_until(std::string_view delimiter, std::error_code& error,
                                             deadline until) noexcept {
    error.clear();
    if (delimiter.empty()) {
        error = std::make_error_code(std::errc::invalid_argument);
        return {};
    }
    for (std::size_t looked_at = 0;;) {
        const std::string_view there{reinterpret_cast<const char*>(buffered().data()), buffered().size()};
        const std::size_t found = there.find(delimiter, looked_at);
        if (found != std::string_view::npos)
            return take(found + delimiter.size());
        // The beginning of a delimiter may be there already.
        looked_at = there.size() - std::min(there.size(), delimiter.size() - 1);
        if (there.size() == capacity_) {
            error = std::make_error_code(std::errc::message_size);
            return {};
        }
        if (fill(error, until) == 0)
            return error ? std::string_view{} : take(there.size());
    }
}

std::optional<std::string_view> buffered_reader::read_line(std::error_code& error, deadline until) noexcept {
    std::string_view line = read_until("\n", error, until);
    if (line.empty())
        return std::nullopt;
    if (line.ends_with('\n')) {
        line.remove_suffix(1);
        if (line.ends_with('\r'))
            line.remove_suffix(1);
    }
    return line;
}

std::size_t buffered_reader::read_some(std::span<std::byte> buffer, std::error_code& error, deadline until) noexcept {
    error.clear();
    if (buffered().empty()) {
        if (buffer.size() >= capacity_)
            return source_.read(buffer, error, until);
        if (buffer.empty() || fill(error, until) == 0)
            return 0;
    }
    const std::size_t size = std::min(buffer.size(), buffered().size());
    std::memcpy(buffer.data(), buffered().data(), size);
    take(size);
    return size;
}

std::size_t buffered_reader::read_all(std::span<std::byte> buffer, std::error_code& error, deadline until) noexcept {
    error.clear();
    std::size_t done = 0;
    while (done < buffer.size() && !error) {
        const std::size_t size = read_some(buffer.subspan(done), error, until);
        done += size;
        if (size == 0)
            break;
    }
    return done;
}

std::size_t buffered_reader::read_exactly(std::span<std::byte> buffer, std::error_code& error,
                                          deadline until) noexcept {
    const std::size_t size = read_all(buffer, error, until);
    if (!error && size < buffer.size())
        error = std::make_error_code(std::errc::no_message_available);
    return size;
}

std::span<const std::byte> buffered_reader::peek(std::size_t count, deadline until) {
    const char* operation = "io::buffered_reader::peek";
    if (count > capacity_)
        throw transfer_error(std::make_error_code(std::errc::message_size), too_long(operation, capacity_), 0);
    return throwing(operation, source_, [&](std::error_code& error) { return peek(count, error, until); });
}

std::string_view buffered_reader::read_until(std::string_view delimiter, deadline until) {
    const char* operation = "io::buffered_reader::read_until";
    return throwing(operation, source_, [&](std::error_code& error) {
        const std::string_view taken = read_until(delimiter, error, until);
        if (error == std::errc::message_size && buffered().size() == capacity_)
            throw transfer_error(error, too_long(operation + detail::place_of(source_.handle()), capacity_), 0);
        return taken;
    });
}

std::optional<std::string_view> buffered_reader::read_line(deadline until) {
    const char* operation = "io::buffered_reader::read_line";
    return throwing(operation, source_, [&](std::error_code& error) {
        const std::optional<std::string_view> line = read_line(error, until);
        if (error == std::errc::message_size && buffered().size() == capacity_)
            throw transfer_error(error, too_long(operation + detail::place_of(source_.handle()), capacity_), 0);
        return line;
    });
}

std::size_t buffered_reader::read_some(std::span<std::byte> buffer, deadline until) {
    return throwing("io::buffered_reader::read_some", source_,
                    [&](std::error_code& error) { return read_some(buffer, error, until); });
}

std::size_t buffered_reader::read_all(std::span<std::byte> buffer, deadline until) {
    return throwing(
        "io::buffered_reader::read_all", source_,
        [&](std::error_code& error) { return read_all(buffer, error, until); }, [](std::size_t done) { return done; });
}

void buffered_reader::read_exactly(std::span<std::byte> buffer, deadline until) {
    throwing(
        "io::buffered_reader::read_exactly", source_,
        [&](std::error_code& error) { return read_exactly(buffer, error, until); },
        [](std::size_t done) { return done; });
}

} // namespace coir::io
