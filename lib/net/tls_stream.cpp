#include <coir/tls_stream.hpp>

#include "io/errors.hpp"
#include "io/operation.hpp"
#include "io/place.hpp"
#include "net/tls_engine.hpp"
#include "sched/loop.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <limits>
#include <new>
#include <stdexcept>
#include <sys/socket.h>
#include <utility>

/// \file
/// Waiting for TLS. A step of the engine computes, moves what the socket gives and takes at once, and returns; the waiting is
/// done between steps by perform(), as for every descriptor.
///
/// Reading waits for the socket to be readable, writing for it to be writable, so a reader and a writer wait in different
/// places and do not disturb each other. All that is received is received by a step in the place of a reader: had another one
/// taken from the socket what a waiting reader needs, nobody would call it. Those in that place call each other when one is
/// done and has left something.
namespace coir::detail {

struct tls_connection {
    explicit tls_connection(net::tcp_stream over) noexcept
        : transport(std::move(over)), wire(transport.native_handle()) {}

    net::tcp_stream transport;
    tls_wire wire;
    std::unique_ptr<tls_engine> engine;
    std::string host;
    bool has_ended_writing = false;
    /// Of what has been given to the wire, so many bytes are the handshake: whoever transfers something sends these first.
    std::uint64_t handshake_end = 0;
    [[nodiscard]] bool has_sent_handshake() const noexcept { return wire.sent() >= handshake_end; }
    /// So many wait in the place of a reader for what a reader may receive: see decrypting.
    std::size_t waiting_writers = 0;
};

namespace {

using connection_pointer = std::shared_ptr<tls_connection>;

// What is encrypted before it is sent: four records.
constexpr std::size_t batch = std::size_t{64} * 1024;
constexpr std::size_t largest_record = std::size_t{16} * 1024;
constexpr std::size_t record_overhead = 64; // header, nonce, tag, type

// How a call ended, and how far it got.
struct progress {
    std::size_t bytes = 0;
    std::error_code error;
    bool was_cancelled = false;
};

progress ended(int error) noexcept {
    return {0, error_code_of(error), error == was_cancelled};
}

progress failed(const tls_connection& on, std::size_t bytes = 0) noexcept {
    return {bytes, on.engine->failure(), false};
}

// An attempt that is made of a function: true when done, else errno tells.
template <class Function> class attempts final : public operation {
public:
    attempts(direction ready_for, Function function) noexcept : operation(ready_for), function_(std::move(function)) {}
    bool attempt(int) noexcept override { return function_(); }

private:
    Function function_;
};

// Sends all that is stored, or as much of it as belongs to the first `enough` bytes of the connection.
progress send_stored(loop& here, tls_connection& on, deadline until,
                     std::uint64_t enough = std::numeric_limits<std::uint64_t>::max()) noexcept {
    const auto is_enough = [&] { return on.wire.sent() >= enough; };
    attempts sending{direction::write, [&] { return is_enough() || on.wire.send_stored() || is_enough(); }};
    const int error = perform(here, on.transport.native_handle(), sending, until).error;
    // The system tells one only what has ended the connection: a reader, if it came first.
    return error == EPIPE && on.engine->failure() ? failed(on) : ended(error);
}

// What may as well be sent later, or never: an alert, the answer to a KeyUpdate.
void send_what_goes(tls_connection& on) noexcept {
    if (on.wire.has_unsent()) {
        const int before = errno;
        on.wire.send_stored();
        errno = before;
    }
}

progress shake_hands(loop& here, tls_connection& on, deadline until) noexcept {
    if (on.engine->failure())
        return failed(on);
    if (on.engine->has_shaken_hands() && on.has_sent_handshake())
        return {};
    tls_step step = tls_step::wants_input;
    // A client begins, in the place of a writer, where nothing may be received: another fiber may have begun before, and wait for
    // that.
    bool begins = on.engine->is_client();
    for (;;) {
        // Perhaps what an earlier call has left. Not what a writer has added: if a reader waits for room for that, and the peer's as
        // well, nobody reads.
        if (!on.has_sent_handshake())
            if (const progress sent = send_stored(here, on, until, on.handshake_end); sent.error)
                return sent;
        // Others have taken part since the last step was made, if only its slice has ended in perform().
        if (on.engine->has_shaken_hands())
            return {};
        attempts shaking{begins ? direction::write : direction::read, [&] {
                             if (begins)
                                 on.wire.look_away();
                             else
                                 on.wire.look_again();
                             const bool was_over = on.engine->has_shaken_hands();
                             step = on.engine->shake_hands();
                             if (!was_over)
                                 on.handshake_end = on.wire.given();
                             // The peer has to have ours before there is any use in waiting for its own.
                             if (begins || step != tls_step::wants_input || !on.wire.send_stored())
                                 return true;
                             errno = EAGAIN;
                             return false;
                         }};
        if (const int error = perform(here, on.transport.native_handle(), shaking, until).error)
            return ended(error);
        begins = false;
        if (step == tls_step::failed) {
            send_what_goes(on); // the alert that says why
            on.wire.drop_stored();
            return failed(on);
        }
    }
}

// Reads what is there: a step in the place of a reader.
class decrypting final : public operation {
public:
    decrypting(tls_connection& on, std::span<std::byte> buffer) noexcept
        : operation(direction::read), on_(on), buffer_(buffer) {}

    bool attempt(int) noexcept override {
        on_.wire.look_again();
        const bool is_done = take();
        // Perhaps the rest of what a writer waits for was in it. Being done calls the next in this place.
        gives_way_ = on_.waiting_writers != 0;
        return is_done || gives_way_;
    }

    // From what has been received already.
    bool take() noexcept {
        step = on_.engine->decrypt(buffer_, got);
        send_what_goes(on_);
        errno = EAGAIN;
        return step != tls_step::wants_input;
    }

    // The end, and what has failed, are for all.
    [[nodiscard]] bool took_all() const noexcept override {
        return step == tls_step::done && on_.wire.is_drained() && !on_.engine->has_input() && !gives_way_;
    }

    tls_step step = tls_step::wants_input;
    std::size_t got = 0;

private:
    tls_connection& on_;
    std::span<std::byte> buffer_;
    bool gives_way_ = false;
};

progress read_some(loop& here, tls_connection& on, std::span<std::byte> buffer, deadline until) noexcept {
    if (here.refuses())
        return ended(was_cancelled);
    if (buffer.empty())
        return {};
    if (const progress shaken = shake_hands(here, on, until); shaken.error)
        return shaken;
    if (!on.transport)
        return ended(EBADF);
    decrypting work{on, buffer};
    if (on.engine->has_input() && work.take())
        here.spend(switches_per_system_call);
    else
        do {
            if (const int error = perform(here, on.transport.native_handle(), work, until).error)
                return ended(error);
        } while (work.step == tls_step::wants_input);
    if (work.step == tls_step::failed)
        return failed(on);
    return {work.step == tls_step::done ? work.got : 0, {}, false};
}

progress read_all(loop& here, tls_connection& on, std::span<std::byte> buffer, deadline until) noexcept {
    std::size_t bytes = 0;
    for (;;) {
        progress last = read_some(here, on, buffer.subspan(bytes), until);
        bytes += last.bytes;
        if (last.error || last.bytes == 0 || bytes == buffer.size()) {
            last.bytes = bytes;
            return last;
        }
    }
}

progress read_pieces(loop& here, tls_connection& on, std::span<const io::mutable_buffer> pieces,
                     deadline until) noexcept {
    std::size_t bytes = 0;
    for (const io::mutable_buffer& piece : pieces) {
        std::span<std::byte> rest{static_cast<std::byte*>(piece.data), piece.size};
        while (!rest.empty()) {
            // Waits for the first byte only; what comes after it is there already, or is left for the next call.
            if (bytes != 0 && !on.engine->has_input())
                return {bytes, {}, false};
            if (bytes == 0) {
                const progress first = read_some(here, on, rest, until);
                if (first.error || first.bytes == 0)
                    return first;
                bytes = first.bytes;
                rest = rest.subspan(first.bytes);
                continue;
            }
            decrypting more{on, rest};
            if (!more.take() || more.step != tls_step::done)
                return {bytes, {}, false}; // an end, or an error, stays for the next call
            bytes += more.got;
            rest = rest.subspan(more.got);
        }
    }
    return {bytes, {}, false};
}

// A step of a writer. OpenSSL may be in the middle of a message that the peer began (a ticket, new keys), and writes nothing
// before it has the rest. That is received in the place of a reader, where it does no harm.
template <class Step> progress make_step(loop& here, tls_connection& on, deadline until, Step make) noexcept {
    on.wire.look_away();
    tls_step step = make();
    if (step == tls_step::wants_input) {
        attempts again{direction::read, [&] {
                           on.wire.look_again();
                           step = make();
                           if (step != tls_step::wants_input)
                               --on.waiting_writers;
                           errno = EAGAIN;
                           return step != tls_step::wants_input;
                       }};
        ++on.waiting_writers;
        if (const int error = perform(here, on.transport.native_handle(), again, until).error) {
            --on.waiting_writers;
            return ended(error);
        }
    }
    return step == tls_step::failed ? failed(on) : progress{};
}

// Encrypts and sends one batch at the most. Its bytes count as soon as they have been encrypted: from then on they will be sent
// in their place, or none after them.
progress write_batch(loop& here, tls_connection& on, std::span<const std::byte> data, deadline until) noexcept {
    data = data.first(std::min(data.size(), batch));
    std::size_t taken = 0;
    // Not when others have shut down, or encrypted as much as may be stored, while this one waited for its turn.
    const auto encrypt = [&] {
        return on.has_ended_writing || on.wire.has_unsent() ? tls_step::ended : on.engine->encrypt(data, taken);
    };
    while (taken == 0) {
        // What an earlier call, or another fiber, has left. Whoever is done with that may have yielded.
        while (on.wire.has_unsent() && !on.has_ended_writing)
            if (const progress sent = send_stored(here, on, until); sent.error)
                return sent;
        if (on.has_ended_writing || !on.transport) // perhaps meanwhile
            return ended(on.transport ? EPIPE : EBADF);
        if (!on.wire.reserve(data.size() + (data.size() / largest_record + 2) * record_overhead))
            return ended(ENOMEM);
        if (const progress made = make_step(here, on, until, encrypt); made.error)
            return made;
    }
    progress sent = send_stored(here, on, until);
    sent.bytes = taken;
    return sent;
}

progress write(loop& here, tls_connection& on, std::span<const std::byte> data, deadline until, bool all) noexcept {
    if (here.refuses())
        return ended(was_cancelled);
    if (data.empty())
        return on.wire.has_unsent() ? send_stored(here, on, until) : progress{};
    if (const progress shaken = shake_hands(here, on, until); shaken.error)
        return shaken;
    std::size_t bytes = 0;
    for (;;) {
        if (on.engine->failure())
            return failed(on, bytes);
        progress last = write_batch(here, on, data.subspan(bytes), until);
        bytes += last.bytes;
        if (last.error || !all || bytes == data.size()) {
            last.bytes = bytes;
            return last;
        }
    }
}

// Small pieces that follow each other go into one record: each record costs the peer more than copying costs here.
progress write_pieces(loop& here, tls_connection& on, std::span<const io::const_buffer> pieces,
                      deadline until) noexcept {
    std::unique_ptr<std::byte[]> gathered;
    std::size_t bytes = 0;
    const auto add = [&](std::span<const std::byte> data) {
        progress last = write(here, on, data, until, true);
        bytes += last.bytes;
        last.bytes = bytes;
        return last;
    };
    progress last = write(here, on, {}, until, true);
    while (!last.error && !pieces.empty()) {
        std::size_t count = 0;
        std::size_t size = 0;
        while (count < pieces.size() && size + pieces[count].size <= largest_record)
            size += pieces[count++].size;
        if (count > 1 && !gathered)
            gathered.reset(new (std::nothrow) std::byte[largest_record]);
        if (count <= 1 || !gathered) {
            last = add({static_cast<const std::byte*>(pieces.front().data), pieces.front().size});
            pieces = pieces.subspan(1);
            continue;
        }
        std::byte* end = gathered.get();
        for (const io::const_buffer& piece : pieces.first(count))
            end = std::copy_n(static_cast<const std::byte*>(piece.data), piece.size, end);
        last = add({gathered.get(), size});
        pieces = pieces.subspan(count);
    }
    last.bytes = bytes;
    return last;
}

progress end_writing(loop& here, tls_connection& on, deadline until) noexcept {
    if (here.refuses())
        return ended(was_cancelled);
    if (!on.transport)
        return ended(EBADF);
    if (on.engine->failure())
        return failed(on);
    // At once: a writer that comes before this fiber runs again must not try.
    const auto say_so = [&] {
        const tls_step step = on.engine->end_writing();
        on.has_ended_writing |= step == tls_step::done;
        return step;
    };
    if (on.engine->has_shaken_hands())
        if (const progress said = make_step(here, on, until, say_so); said.error)
            return said;
    on.has_ended_writing = true;
    if (const progress sent = send_stored(here, on, until); sent.error)
        return sent;
    std::error_code error;
    on.transport.shutdown_write(error);
    // A peer that has closed answers with a reset; whether it is here already depends on the network.
    return {0, on.engine->has_shaken_hands() && error == std::errc::not_connected ? std::error_code{} : error, false};
}

// The last word, as far as the socket takes it.
void part(tls_connection& on) noexcept {
    on.wire.look_again();
    if (!on.has_ended_writing && on.engine->end_writing() == tls_step::done)
        send_what_goes(on);
    // Closing a socket with something unread in it resets the connection, which may overtake what has just been sent. With
    // TLS 1.3 a client that only writes would always do so: nobody reads the server's tickets.
    std::array<std::byte, 256> unread;
    std::size_t got = 0;
    for (int i = 0; i < 16 && on.engine->decrypt(unread, got) == tls_step::done; ++i) {}
}

// " with example.org (192.0.2.1:443)"
std::string whom(const tls_connection& on) {
    if (!on.transport)
        return on.host.empty() ? "" : " with " + on.host;
    const std::string address = name_of(on.transport.native_handle());
    return " with " + (on.host.empty() ? address : on.host + " (" + address + ')');
}

// Refuses what OpenSSL would take for less than a whole name: nothing at all, for which it checks nothing; ".example.org",
// which is every host in there; and what goes on behind a NUL.
void check_host(std::string_view host, bool to_verify) {
    std::string_view name = host;
    if (name.ends_with('.'))
        name.remove_suffix(1);
    const char* wrong = nullptr;
    if (name.find('\0') != std::string_view::npos)
        wrong = "a NUL in the host";
    else if (to_verify && name.empty())
        wrong = "no host to verify";
    else if (to_verify && name.starts_with('.'))
        wrong = "a host begins with a name, not with a dot";
    if (!wrong)
        return;
    std::string shown;
    for (const char c : host)
        shown += c == '\0' ? std::string{"\\0"} : std::string(1, c);
    throw std::invalid_argument(std::string{"net::tls_stream: "} + wrong + ": \"" + shown + '"');
}

// The two forms of every call. Each keeps the connection while it is under way.

template <class Call> std::size_t call(const char* operation, connection_pointer on, Call steps) {
    loop& here = loop::of_running_fiber(operation);
    const progress done = on ? steps(here, *on) : ended(EBADF);
    if (!done.error) [[likely]]
        return done.bytes;
    if (done.was_cancelled)
        throw_cancelled(here.running(), operation, done.bytes);
    throw io::transfer_error(done.error, operation + (on ? whom(*on) : std::string{}), done.bytes);
}

template <class Call> std::size_t call(std::error_code& error, connection_pointer on, Call steps) noexcept {
    loop* here = loop::current_with_running_fiber();
    const progress done = !here ? ended(EPERM) : on ? steps(*here, *on) : ended(EBADF);
    error = done.error;
    return done.bytes;
}

} // namespace
} // namespace coir::detail

namespace coir::net {

using detail::loop;
using detail::tls_connection;

tls_stream::tls_stream(const tls_context& context, tcp_stream transport, std::string_view host,
                       const tls_session& resumed) {
    if (context.is_server())
        throw std::invalid_argument("net::tls_stream: the context of a server, for a client");
    detail::check_host(host, context.configuration()->verifies());
    auto made = std::make_shared<tls_connection>(std::move(transport));
    made->host = host;
    made->engine = context.configuration()->make_client(made->wire, host, resumed.ticket().get());
    connection_ = std::move(made);
}

tls_stream::tls_stream(const tls_context& context, tcp_stream transport) {
    if (!context.is_server())
        throw std::invalid_argument("net::tls_stream: the context of a client, for a server");
    auto made = std::make_shared<tls_connection>(std::move(transport));
    made->engine = context.configuration()->make_server(made->wire);
    connection_ = std::move(made);
}

tls_stream::~tls_stream() {
    if (!connection_)
        return;
    connection_->wire.detach();
    std::error_code ignored;
    connection_->transport.close(ignored);
}

void tls_stream::handshake(deadline until) {
    detail::call("net::tls_stream::handshake", connection_,
                 [&](loop& here, tls_connection& on) { return detail::shake_hands(here, on, until); });
}

void tls_stream::handshake(std::error_code& error, deadline until) noexcept {
    detail::call(error, connection_,
                 [&](loop& here, tls_connection& on) { return detail::shake_hands(here, on, until); });
}

std::size_t tls_stream::read_some(std::span<std::byte> buffer, deadline until) {
    return detail::call("net::tls_stream::read_some", connection_,
                        [&](loop& here, tls_connection& on) { return detail::read_some(here, on, buffer, until); });
}

std::size_t tls_stream::read_some(std::span<std::byte> buffer, std::error_code& error, deadline until) noexcept {
    return detail::call(error, connection_,
                        [&](loop& here, tls_connection& on) { return detail::read_some(here, on, buffer, until); });
}

std::size_t tls_stream::write_some(std::span<const std::byte> buffer, deadline until) {
    return detail::call("net::tls_stream::write_some", connection_,
                        [&](loop& here, tls_connection& on) { return detail::write(here, on, buffer, until, false); });
}

std::size_t tls_stream::write_some(std::span<const std::byte> buffer, std::error_code& error, deadline until) noexcept {
    return detail::call(error, connection_,
                        [&](loop& here, tls_connection& on) { return detail::write(here, on, buffer, until, false); });
}

std::size_t tls_stream::read_all(std::span<std::byte> buffer, deadline until) {
    return detail::call("net::tls_stream::read_all", connection_,
                        [&](loop& here, tls_connection& on) { return detail::read_all(here, on, buffer, until); });
}

std::size_t tls_stream::read_all(std::span<std::byte> buffer, std::error_code& error, deadline until) noexcept {
    return detail::call(error, connection_,
                        [&](loop& here, tls_connection& on) { return detail::read_all(here, on, buffer, until); });
}

std::size_t tls_stream::write_all(std::span<const std::byte> buffer, deadline until) {
    return detail::call("net::tls_stream::write_all", connection_,
                        [&](loop& here, tls_connection& on) { return detail::write(here, on, buffer, until, true); });
}

std::size_t tls_stream::write_all(std::span<const std::byte> buffer, std::error_code& error, deadline until) noexcept {
    return detail::call(error, connection_,
                        [&](loop& here, tls_connection& on) { return detail::write(here, on, buffer, until, true); });
}

std::size_t tls_stream::readv(std::span<const io::mutable_buffer> buffers, deadline until) {
    return detail::call("net::tls_stream::readv", connection_,
                        [&](loop& here, tls_connection& on) { return detail::read_pieces(here, on, buffers, until); });
}

std::size_t tls_stream::readv(std::span<const io::mutable_buffer> buffers, std::error_code& error,
                              deadline until) noexcept {
    return detail::call(error, connection_,
                        [&](loop& here, tls_connection& on) { return detail::read_pieces(here, on, buffers, until); });
}

std::size_t tls_stream::writev(std::span<const io::const_buffer> buffers, deadline until) {
    return detail::call("net::tls_stream::writev", connection_,
                        [&](loop& here, tls_connection& on) { return detail::write_pieces(here, on, buffers, until); });
}

std::size_t tls_stream::writev(std::span<const io::const_buffer> buffers, std::error_code& error,
                               deadline until) noexcept {
    return detail::call(error, connection_,
                        [&](loop& here, tls_connection& on) { return detail::write_pieces(here, on, buffers, until); });
}

void tls_stream::shutdown_write(deadline until) {
    detail::call("net::tls_stream::shutdown_write", connection_,
                 [&](loop& here, tls_connection& on) { return detail::end_writing(here, on, until); });
}

void tls_stream::shutdown_write(std::error_code& error, deadline until) noexcept {
    detail::call(error, connection_,
                 [&](loop& here, tls_connection& on) { return detail::end_writing(here, on, until); });
}

void tls_stream::close() {
    std::error_code error;
    close(error);
    if (error)
        throw std::system_error(error, "net::tls_stream::close");
}

void tls_stream::close(std::error_code& error) noexcept {
    error.clear();
    if (!connection_)
        return;
    tls_connection& on = *connection_;
    if (on.transport && on.engine->has_shaken_hands() && !on.engine->failure())
        detail::part(on);
    on.has_ended_writing = true;
    on.wire.detach();
    on.transport.close(error);
}

tls_session tls_stream::session() const {
    return tls_session{connection_ ? connection_->engine->ticket() : nullptr};
}

bool tls_stream::session_reused() const noexcept {
    return connection_ && connection_->engine->is_resumed();
}

std::string tls_stream::protocol() const {
    return connection_ ? connection_->engine->protocol() : std::string{};
}

std::string tls_stream::server_name() const {
    return connection_ ? connection_->engine->server_name() : std::string{};
}

std::string tls_stream::version() const {
    return connection_ ? connection_->engine->version() : std::string{};
}

std::string tls_stream::cipher() const {
    return connection_ ? connection_->engine->cipher() : std::string{};
}

std::string tls_stream::peer_certificate() const {
    return connection_ ? connection_->engine->peer_certificate() : std::string{};
}

const tcp_stream& tls_stream::transport() const noexcept {
    static const tcp_stream none;
    return connection_ ? connection_->transport : none;
}

ssl_st* tls_stream::native_tls() const noexcept {
    return connection_ ? connection_->engine->native_handle() : nullptr;
}

} // namespace coir::net
