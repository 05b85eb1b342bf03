#include "net/openssl_engine.hpp"

#include "base/made_once.hpp"

#include <coir/endpoint.hpp>

#include <cerrno>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

namespace coir::detail {
namespace {

// What a step may receive without an end of it: twice 32 messages, each in a record of its own; and in a handshake, where
// certificates may come in small pieces. OpenSSL by itself goes on for as long as the peer does, deaf to deadlines, and the
// thread with it.
constexpr unsigned most_messages = 64;
constexpr unsigned most_messages_of_handshake = 256;

// What waits to be sent is a batch of tls_stream, or the flight of a handshake (peers take certificates up to 100 KiB), and
// answers to the peer's changes of keys, which it has perhaps no intention to read.
constexpr std::size_t most_unsent = std::size_t{128} * 1024;

constexpr const char* wire_name = "coir::tls_wire";

class openssl_ticket final : public tls_ticket {
public:
    openssl_ticket(session_pointer session, std::string host,
                   const std::shared_ptr<const openssl_configuration>& of) noexcept
        : session(std::move(session)), host(std::move(host)), configuration(of) {}

    const session_pointer session;
    const std::string host;
    const std::weak_ptr<const openssl_configuration> configuration;
};

bool is_address(const std::string& host) noexcept {
    std::error_code error;
    const net::endpoint parsed{host, 0, error};
    return !error;
}

} // namespace

openssl_engine::openssl_engine(std::shared_ptr<const openssl_configuration> configuration, tls_wire& wire,
                               std::string_view host, const tls_ticket* resumed)
    : configuration_(std::move(configuration)), host_(host), ssl_(SSL_new(configuration_->native_handle())) {
    attach(wire);
    SSL* const ssl = ssl_.get();
    SSL_set_connect_state(ssl);
    if (host_.ends_with('.')) // the root of all names is no part of one in a certificate
        host_.pop_back();
    if (!host_.empty()) {
        // What the certificate must be for; a name is also what the server is told.
        SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        // The interface in "fe80::1%eth0" is this machine's affair.
        X509_VERIFY_PARAM* const wanted = SSL_get0_param(ssl);
        const bool set = is_address(host_)
                             ? X509_VERIFY_PARAM_set1_ip_asc(wanted, host_.substr(0, host_.find('%')).c_str()) == 1
                             : X509_VERIFY_PARAM_set1_host(wanted, host_.data(), host_.size()) == 1 &&
                                   SSL_set_tlsext_host_name(ssl, host_.c_str()) == 1;
        if (!set)
            throw_openssl_error("net::tls_stream: host " + host_);
    }
    // A session stands for the certificates that were looked at when it began; it must not vouch for another host, nor to one
    // who trusts others.
    if (const auto* ticket = static_cast<const openssl_ticket*>(resumed);
        ticket && ticket->host == host_ && ticket->configuration.lock() == configuration_)
        SSL_set_session(ssl, ticket->session.get());
}

openssl_engine::openssl_engine(std::shared_ptr<const openssl_configuration> configuration, tls_wire& wire)
    : configuration_(std::move(configuration)), ssl_(SSL_new(configuration_->native_handle())) {
    attach(wire);
    SSL_set_accept_state(ssl_.get());
}

openssl_engine::~openssl_engine() {
    const clean_error_queue around;
    // Else OpenSSL takes back the session of a connection that ends without close_notify, as SSL 3 required.
    if (has_shaken_hands_ && !failure_)
        SSL_set_shutdown(ssl_.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    ssl_.reset();
}

void openssl_engine::attach(tls_wire& wire) {
    BIO* const bio = ssl_ ? BIO_new(wire_method()) : nullptr;
    if (!bio)
        throw_openssl_error("net::tls_stream");
    wire_ = &wire;
    BIO_set_data(bio, this);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl_.get(), bio, bio);
    SSL_set_msg_callback(ssl_.get(), count_message);
    SSL_set_msg_callback_arg(ssl_.get(), this);
}

// A user may have made `ssl` by himself, of our SSL_CTX.
openssl_engine* openssl_engine::find(SSL* ssl) noexcept {
    BIO* const bio = SSL_get_rbio(ssl);
    return bio && BIO_method_name(bio) == std::string_view{wire_name} ? static_cast<openssl_engine*>(BIO_get_data(bio))
                                                                      : nullptr;
}

tls_step openssl_engine::shake_hands() noexcept {
    if (has_shaken_hands_)
        return tls_step::done;
    if (failure_)
        return tls_step::failed;
    const clean_error_queue around;
    messages_ = 0;
    const tls_step step = step_of(SSL_do_handshake(ssl_.get()));
    if (step != tls_step::done)
        return step == tls_step::ended ? fail(net::tls_errc::truncated) : step;
    // A resumed session brings along the result of its first verification, which perhaps nobody wanted to know then.
    if (const long verified = SSL_get_verify_result(ssl_.get()); configuration_->verifies() && verified != X509_V_OK)
        return fail({static_cast<int>(verified), net::tls_category()});
    has_shaken_hands_ = true;
    return tls_step::done;
}

tls_step openssl_engine::decrypt(std::span<std::byte> buffer, std::size_t& got) noexcept {
    if (failure_)
        return tls_step::failed;
    const clean_error_queue around;
    messages_ = 0;
    return step_of(SSL_read_ex(ssl_.get(), buffer.data(), buffer.size(), &got));
}

tls_step openssl_engine::encrypt(std::span<const std::byte> data, std::size_t& taken) noexcept {
    if (failure_)
        return tls_step::failed;
    const clean_error_queue around;
    messages_ = 0;
    writes_one_record_ = data.size() <= SSL3_RT_MAX_PLAIN_LENGTH;
    const tls_step step = step_of(SSL_write_ex(ssl_.get(), data.data(), data.size(), &taken));
    writes_one_record_ = false;
    return step == tls_step::ended ? fail(net::tls_errc::truncated) : step; // in the middle of a message
}

tls_step openssl_engine::end_writing() noexcept {
    if (failure_)
        return tls_step::failed;
    if ((SSL_get_shutdown(ssl_.get()) & SSL_SENT_SHUTDOWN) != 0)
        return tls_step::done; // a second call of SSL_shutdown() would read
    const clean_error_queue around;
    messages_ = 0;
    if (SSL_in_init(ssl_.get())) { // new keys not sent yet, or a ticket half received: SSL_shutdown() would refuse
        const tls_step step = step_of(SSL_do_handshake(ssl_.get()));
        if (step != tls_step::done)
            return step == tls_step::ended ? fail(net::tls_errc::truncated) : step;
    }
    const int result = SSL_shutdown(ssl_.get());
    return result >= 0 ? tls_step::done : step_of(result);
}

// What OpenSSL thinks of the last call is in its error queue, so this comes right after the call.
tls_step openssl_engine::step_of(int result) noexcept {
    switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_NONE:
        return tls_step::done;
    case SSL_ERROR_WANT_READ:
        return tls_step::wants_input;
    case SSL_ERROR_ZERO_RETURN:
        return tls_step::ended;
    default:
        break;
    }
    // The first in the queue is the cause.
    const unsigned long code = ERR_peek_error();
    const bool is_of_ssl = ERR_GET_LIB(code) == ERR_LIB_SSL;
    if (wire_error_)
        return fail(wire_error_);
    if (is_of_ssl && ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED)
        return fail({static_cast<int>(SSL_get_verify_result(ssl_.get())), net::tls_category()});
    if (input_ended_ && (code == 0 || (is_of_ssl && ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING)))
        return fail(net::tls_errc::truncated);
    if (code == 0)
        return fail({EPROTO, std::generic_category()});
    return fail(openssl_error(code));
}

tls_step openssl_engine::fail(std::error_code why) noexcept {
    failure_ = why;
    return tls_step::failed;
}

std::shared_ptr<const tls_ticket> openssl_engine::ticket() const {
    const clean_error_queue around;
    if (!has_shaken_hands_ || !is_client())
        return nullptr;
    session_pointer session{SSL_get1_session(ssl_.get())};
    if (!session || SSL_SESSION_is_resumable(session.get()) != 1)
        return nullptr;
    return std::make_shared<openssl_ticket>(std::move(session), host_, configuration_);
}

std::string openssl_engine::protocol() const {
    const unsigned char* name = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(ssl_.get(), &name, &size);
    return {reinterpret_cast<const char*>(name), size};
}

std::string openssl_engine::server_name() const {
    const char* name = SSL_get_servername(ssl_.get(), TLSEXT_NAMETYPE_host_name);
    return name ? name : "";
}

std::string openssl_engine::version() const {
    return has_shaken_hands_ ? SSL_get_version(ssl_.get()) : "";
}

std::string openssl_engine::cipher() const {
    return has_shaken_hands_ ? SSL_get_cipher_name(ssl_.get()) : "";
}

std::string openssl_engine::peer_certificate() const {
    const clean_error_queue around;
    const x509_pointer certificate{SSL_get1_peer_certificate(ssl_.get())};
    if (!certificate)
        return {};
    const bio_pointer text{BIO_new(BIO_s_mem())};
    if (!text || PEM_write_bio_X509(text.get(), certificate.get()) != 1)
        throw_openssl_error("net::tls_stream::peer_certificate");
    char* data = nullptr;
    const long size = BIO_get_mem_data(text.get(), &data);
    return {data, static_cast<std::size_t>(size)};
}

BIO_METHOD* openssl_engine::wire_method() {
    return &made_once<make_wire_method>();
}

openssl_pointer<BIO_METHOD, BIO_meth_free> openssl_engine::make_wire_method() {
    openssl_pointer<BIO_METHOD, BIO_meth_free> made{
        BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, wire_name)};
    if (!made)
        throw std::bad_alloc{};
    BIO_meth_set_read(made.get(), read_wire);
    BIO_meth_set_write(made.get(), write_wire);
    BIO_meth_set_ctrl(made.get(), control_wire);
    return made;
}

// The header of each record, and each message of TLS itself; several of them fit into one record.
void openssl_engine::count_message(int is_ours, int, int kind, const void*, std::size_t, SSL*, void* self) noexcept {
    if (is_ours == 0 && (kind == SSL3_RT_HEADER || kind == SSL3_RT_HANDSHAKE))
        ++static_cast<openssl_engine*>(self)->messages_;
}

// The step ends where it needs the wire again: all that was received before has then been seen.
bool openssl_engine::is_flooded() const noexcept {
    return messages_ > (has_shaken_hands_ ? most_messages : most_messages_of_handshake);
}

int openssl_engine::read_wire(BIO* bio, char* buffer, int size) noexcept {
    auto& self = *static_cast<openssl_engine*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    if (self.is_flooded()) {
        self.wire_error_ = net::tls_errc::flooded;
        return -1;
    }
    const ssize_t received =
        self.wire_->receive(std::as_writable_bytes(std::span{buffer, static_cast<std::size_t>(size)}));
    if (received > 0)
        return static_cast<int>(received);
    if (received == 0)
        self.input_ended_ = true;
    else if (errno == EAGAIN)
        BIO_set_retry_read(bio);
    else
        self.wire_error_ = {errno, std::generic_category()};
    return -1;
}

int openssl_engine::write_wire(BIO* bio, const char* data, int size) noexcept {
    auto& self = *static_cast<openssl_engine*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    const auto bytes = std::as_bytes(std::span{data, static_cast<std::size_t>(size)});
    if (self.is_flooded() || self.wire_->unsent() + bytes.size() > most_unsent)
        self.wire_error_ = net::tls_errc::flooded;
    else if (self.writes_one_record_ ? self.wire_->send_or_store(bytes) : self.wire_->store(bytes))
        return size;
    else
        self.wire_error_ = std::make_error_code(std::errc::not_enough_memory);
    return -1;
}

long openssl_engine::control_wire(BIO* bio, int command, long, void*) noexcept {
    switch (command) {
    case BIO_CTRL_FLUSH:
        return 1;
    case BIO_CTRL_EOF:
        return static_cast<const openssl_engine*>(BIO_get_data(bio))->input_ended_ ? 1 : 0;
    default:
        return 0;
    }
}

} // namespace coir::detail
