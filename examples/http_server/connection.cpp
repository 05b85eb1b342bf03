#include "connection.hpp"

#include "http_date.hpp"

#include <coir/deadline.hpp>
#include <coir/io.hpp>
#include <coir/this_fiber.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <exception>
#include <iostream>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <system_error>
#include <utility>

namespace http_server {
namespace {

bool is_unchanged(const document& found, const request& asked) {
    if (asked.if_modified_since.empty() || !found.unchanged)
        return false;
    const auto since = parse_http_date(asked.if_modified_since);
    return since && found.changed <= *since;
}

} // namespace

connection::connection(service& shared, client_stream stream) : shared_(shared), stream_(std::move(stream)) {
    shared_.connections.insert(this);
}

connection::~connection() {
    shared_.connections.erase(this);
    if (coir::this_fiber::cancel_requested())
        ++shared_.cancelled;
}

void connection::serve() {
    try {
        if (!welcome())
            return;
        std::array<char, first_read> start;
        for (;;) {
            const std::size_t size = wait_for_request(start);
            if (size == 0)
                break;
            const exchange_pool::loan work = shared_.exchanges.take();
            if (!answer_requests(*work, {start.data(), size}))
                break;
        }
        stream_.close();
    } catch (const std::exception& error) {
        // No memory, say. It costs this client its connection, and the others nothing.
        std::cerr << "http_server: connection closed: " << error.what() << '\n';
    }
}

/// The handshake, if there is to be one. Who takes longer for it than for the head of a request is not waited for.
bool connection::welcome() {
    if (!stream_.is_secure())
        return true;
    std::error_code error;
    shared_.now.update();
    stream_.handshake(error, shared_.now.header_deadline());
    return !error;
}

void connection::end_if_idle() noexcept {
    // The fiber then reads end of file, after what has arrived before.
    if (idle_)
        ::shutdown(stream_.native_handle(), SHUT_RD);
}

void connection::end_now() noexcept {
    ::shutdown(stream_.native_handle(), SHUT_RDWR);
}

std::size_t connection::wait_for_request(std::span<char> buffer) {
    std::error_code error;
    shared_.now.update();
    idle_ = true;
    const std::size_t size =
        stream_.read_some(std::as_writable_bytes(buffer), error,
                          shared_.stopping ? coir::deadline::passed() : shared_.now.idle_deadline());
    idle_ = false;
    return size;
}

bool connection::answer_requests(exchange& work, std::string_view received) {
    work.parser.reset();
    shared_.now.update();
    // One deadline for the whole head, however many reads it takes: a byte now and then does not extend it.
    coir::deadline head_deadline = shared_.now.header_deadline();
    for (;;) {
        while (!received.empty()) {
            const request_parser::progress progress = work.parser.parse(received);
            if (progress.failure != HTTP_STATUS_OK)
                return refuse(work, progress.failure);
            received.remove_prefix(progress.consumed);
            if (progress.complete) {
                if (!answer(work, work.parser.get()))
                    return false;
                head_deadline = shared_.now.header_deadline();
            }
        }
        if (!work.answers.send(stream_, shared_.now))
            return false;
        if (!work.parser.is_inside())
            return true;

        std::error_code error;
        const std::size_t size = stream_.read_some(std::as_writable_bytes(std::span{work.input}), error, head_deadline);
        if (size == 0)
            return error == std::errc::timed_out && refuse(work, HTTP_STATUS_REQUEST_TIMEOUT);
        shared_.now.update();
        received = {work.input.data(), size};
    }
}

bool connection::answer(exchange& work, const request& asked) {
    ++shared_.requests;
    if (work.answers.is_full() && !work.answers.send(stream_, shared_.now))
        return false;

    const bool stays = asked.keep_alive && !shared_.stopping;
    const bool is_head = asked.method == HTTP_HEAD;
    // RFC 9112, 3.2: exactly one Host field. It is not used here, but who disagrees on it is not to be trusted
    // with the rest.
    if (asked.hosts > 1 || (asked.hosts == 0 && asked.minor_version >= 1))
        return refuse(work, HTTP_STATUS_BAD_REQUEST, !is_head);
    const bool is_known = asked.method == HTTP_GET || is_head;
    // Nothing here takes a body, and one that is not read cannot be told from a further request.
    if (asked.has_body)
        return refuse(work, is_known ? HTTP_STATUS_PAYLOAD_TOO_LARGE : HTTP_STATUS_METHOD_NOT_ALLOWED, !is_head);
    if (!is_known) {
        add(work, asked, stays, HTTP_STATUS_METHOD_NOT_ALLOWED, error_page(HTTP_STATUS_METHOD_NOT_ALLOWED));
    } else if (!shared_.settings.status_path.empty() && asked.target == shared_.settings.status_path) {
        add(work, asked, stays, HTTP_STATUS_OK, status_page());
    } else if (const http_status status = decode_target(asked.target, work.path); status != HTTP_STATUS_OK) {
        add(work, asked, stays, status, error_page(status));
    } else if (!answer_file(work, asked, stays)) {
        return false;
    }
    // Decided before the answer was sent, because that is what the answer has said.
    if (!stays)
        (void)work.answers.send(stream_, shared_.now);
    return stays;
}

bool connection::answer_file(exchange& work, const request& asked, bool stays) {
    const std::time_t second = shared_.now.number();
    if (const document* fresh = shared_.files.find_fresh(work.path, second)) {
        (void)add_document(work, asked, stays, HTTP_STATUS_OK, *fresh);
        return true;
    }
    const stored found = shared_.files.find(work.path, second);
    if (!add_document(work, asked, stays, found.status, found.what) || !found.file || asked.method == HTTP_HEAD)
        return true;
    return work.answers.send(stream_, shared_.now) && send_file(found.file, found.file_size);
}

/// False: the client has it already, and is told so.
bool connection::add_document(exchange& work, const request& asked, bool stays, http_status status,
                              const document& what) {
    if (is_unchanged(what, asked)) {
        add(work, asked, stays, HTTP_STATUS_NOT_MODIFIED, what.unchanged);
        return false;
    }
    add(work, asked, stays, status, what.text);
    return true;
}

void connection::add(exchange& work, const request& asked, bool stays, http_status status,
                     const content_pointer& text) {
    connection_field field = connection_field::close;
    if (stays)
        field = asked.minor_version == 0 ? connection_field::keep_alive : connection_field::absent;
    work.answers.add(status, text, asked.method != HTTP_HEAD, field, shared_.now);
}

/// Answers with an error after which nothing more can be understood, or is wanted, from this client.
bool connection::refuse(exchange& work, http_status status, bool with_body) {
    if (!work.answers.is_full() || work.answers.send(stream_, shared_.now)) {
        work.answers.add(status, error_page(status), with_body, connection_field::close, shared_.now);
        if (work.answers.send(stream_, shared_.now))
            linger(work);
    }
    return false;
}

/// Reads what the client is still sending, within limits, before the connection is closed. Closing with unread
/// bytes resets it, and the reset may overtake the answer.
void connection::linger(exchange& work) {
    using namespace std::chrono_literals;
    std::error_code error;
    const coir::deadline end = 2s;
    stream_.shutdown_write(error, end);
    std::size_t budget = 4 * 1024 * 1024;
    while (!error && budget != 0) {
        const std::size_t size = stream_.read_some(std::as_writable_bytes(std::span{work.input}), error, end);
        if (size == 0)
            break;
        budget -= std::min(budget, size);
    }
}

bool connection::send_file(const coir::io::file& file, std::uint64_t size) {
    constexpr std::size_t slice = 64 * 1024; // what is read, and then sent, at once
    const auto buffer = std::make_unique_for_overwrite<std::byte[]>(slice);
    for (std::uint64_t offset = 0; offset < size;) {
        const std::span<std::byte> wanted{buffer.get(), std::min<std::uint64_t>(slice, size - offset)};
        std::error_code error;
        const std::size_t got = file.read_all_at(wanted, offset, error);
        if (got == 0)
            return false; // the file has become shorter than what the client was told
        offset += got;
        std::span<const std::byte> rest = wanted.first(got);
        bool is_full = false;
        do {
            rest = rest.subspan(stream_.write_some(rest, error, coir::deadline::passed()));
            is_full = error == std::errc::timed_out; // nothing may be left of the slice and something on its way
            if (is_full) {
                shared_.now.update();
                coir::io::wait_writable(stream_.native_handle(), error, shared_.now.idle_deadline());
            }
            if (error)
                return false;
        } while (is_full || !rest.empty());
    }
    return true;
}

content_pointer connection::status_page() const {
    return make_content("application/json", "{\"connections\": " + std::to_string(shared_.connections.size()) +
                                                ", \"requests\": " + std::to_string(shared_.requests) + "}\n");
}

void connection::turn_away(client_stream stream, this_second& now) {
    if (stream.is_secure())
        return; // it would understand nothing before a handshake, and that takes time
    response_batch answer;
    now.update();
    answer.add(HTTP_STATUS_SERVICE_UNAVAILABLE, error_page(HTTP_STATUS_SERVICE_UNAVAILABLE), true,
               connection_field::close, now);
    // A fresh connection has room for an answer this small: this does not wait.
    if (answer.send(stream, now)) {
        std::error_code error;
        stream.shutdown_write(error, coir::deadline::passed());
    }
}

} // namespace http_server
