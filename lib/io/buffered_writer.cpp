#include <coir/buffered_writer.hpp>

#include "base/diagnostic.hpp"
#include "io/call.hpp"
#include "sched/describe.hpp"

#include <cstring>
#include <exception>
#include <string>

namespace coir::io {
namespace {

void report_loss(std::size_t bytes) noexcept {
    const detail::loop* here = detail::loop::current_with_running_fiber();
    detail::report(
        [&] {
            return "an io::buffered_writer " + (here ? "of " + detail::describe(here->running()) + " " : "") +
                   "was destroyed with " + std::to_string(bytes) + " bytes that were never flushed";
        },
        "an io::buffered_writer was destroyed with bytes that were never flushed");
}

} // namespace

buffered_writer::buffered_writer(detail::sink_reference sink, std::size_t capacity)
    : sink_(sink), buffer_(std::make_unique_for_overwrite<std::byte[]>(capacity)), capacity_(capacity),
      exceptions_(std::uncaught_exceptions()) {}

buffered_writer::~buffered_writer() {
    if (!buffered().empty() && !has_failed_ && std::uncaught_exceptions() <= exceptions_)
        report_loss(buffered().size());
}

// What is buffered, and `piece`. Returns how many bytes the sink has taken.
std::size_t buffered_writer::send(std::span<const std::byte> piece, std::error_code& error, deadline until) noexcept {
    const std::size_t before = buffered().size();
    const std::size_t sent = sink_.write(buffered(), piece, error, until);
    has_failed_ = static_cast<bool>(error);
    if (sent < before)
        begin_ += sent;
    else
        discard();
    return sent;
}

std::size_t buffered_writer::write_all(std::span<const std::byte> piece, std::error_code& error,
                                       deadline until) noexcept {
    error.clear();
    const std::size_t before = buffered().size();
    if (piece.size() > capacity_ - before) {
        const std::size_t sent = send(piece, error, until);
        return sent > before ? sent - before : 0;
    }
    has_failed_ = false;
    if (piece.empty())
        return 0;
    if (piece.size() > capacity_ - end_) {
        std::memmove(buffer_.get(), buffer_.get() + begin_, before);
        begin_ = 0;
        end_ = before;
    }
    std::memcpy(buffer_.get() + end_, piece.data(), piece.size());
    end_ += piece.size();
    return piece.size();
}

std::size_t buffered_writer::flush(std::error_code& error, deadline until) noexcept {
    error.clear();
    return buffered().empty() ? 0 : send({}, error, until);
}

std::size_t buffered_writer::write_all(std::span<const std::byte> piece, deadline until) {
    const char* operation = "io::buffered_writer::write_all";
    static_cast<void>(detail::loop::of_running_fiber(operation));
    std::error_code error;
    const std::size_t taken = write_all(piece, error, until);
    if (error)
        detail::raise(error, operation, sink_.handle(), taken);
    return taken;
}

std::size_t buffered_writer::flush(deadline until) {
    const char* operation = "io::buffered_writer::flush";
    static_cast<void>(detail::loop::of_running_fiber(operation));
    std::error_code error;
    const std::size_t sent = flush(error, until);
    if (error)
        detail::raise(error, operation, sink_.handle(), sent);
    return sent;
}

} // namespace coir::io
