#include "net/openssl_context.hpp"

#include "net/openssl_engine.hpp"

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <filesystem>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdexcept>
#include <string>
#include <system_error>

namespace coir::detail {
namespace {

// One BIO of BIO_new_mem_buf() for a text.
bio_pointer reader_of(const std::string& text) {
    bio_pointer made{BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))};
    if (!made)
        throw_openssl_error("net::tls_context");
    return made;
}

// For PEM_read...(): nobody is there to be asked for the passphrase of an encrypted key.
int no_passphrase(char*, int, int, void*) noexcept {
    return -1;
}

// PEM_read...() finds no more: because there is none, or is one broken? Leaving that one out would surprise later.
void expect_end_of_text(const std::string& what) {
    const unsigned long last = ERR_peek_last_error();
    if (ERR_GET_LIB(last) != ERR_LIB_PEM || ERR_GET_REASON(last) != PEM_R_NO_START_LINE)
        throw_openssl_error(what);
    ERR_clear_error();
}

void use_chain_text(SSL_CTX* context, const std::string& text) {
    const bio_pointer from = reader_of(text);
    x509_pointer own{PEM_read_bio_X509_AUX(from.get(), nullptr, no_passphrase, nullptr)};
    if (!own || SSL_CTX_use_certificate(context, own.get()) != 1)
        throw_openssl_error("net::tls_context: the certificate given as text");
    SSL_CTX_clear_chain_certs(context);
    while (const x509_pointer issuer{PEM_read_bio_X509(from.get(), nullptr, no_passphrase, nullptr)})
        if (SSL_CTX_add1_chain_cert(context, issuer.get()) != 1)
            throw_openssl_error("net::tls_context: the certificate chain given as text");
    expect_end_of_text("net::tls_context: the certificate chain given as text");
}

void use_key_text(SSL_CTX* context, const std::string& text) {
    const bio_pointer from = reader_of(text);
    const key_pointer key{PEM_read_bio_PrivateKey(from.get(), nullptr, no_passphrase, nullptr)};
    if (!key || SSL_CTX_use_PrivateKey(context, key.get()) != 1)
        throw_openssl_error("net::tls_context: the key given as text");
}

void trust_text(SSL_CTX* context, const std::string& text) {
    const bio_pointer from = reader_of(text);
    int count = 0;
    while (const x509_pointer authority{PEM_read_bio_X509(from.get(), nullptr, no_passphrase, nullptr)}) {
        if (X509_STORE_add_cert(SSL_CTX_get_cert_store(context), authority.get()) != 1)
            throw_openssl_error("net::tls_context: the trusted certificates given as text");
        ++count;
    }
    if (count == 0)
        throw_openssl_error("net::tls_context: the trusted certificates given as text");
    expect_end_of_text("net::tls_context: the trusted certificates given as text");
}

// The names that a server tells clients it would believe.
void name_authorities(SSL_CTX* context, const net::tls_trust& authorities) {
    if (!authorities.file.empty())
        SSL_CTX_set_client_CA_list(context, SSL_load_client_CA_file(authorities.file.c_str()));
    if (!authorities.pem.empty()) {
        const bio_pointer from = reader_of(authorities.pem);
        while (const x509_pointer authority{PEM_read_bio_X509(from.get(), nullptr, no_passphrase, nullptr)})
            SSL_CTX_add_client_CA(context, authority.get());
    }
    ERR_clear_error();
}

std::string in_small_letters(std::string_view name) {
    std::string result{name};
    std::ranges::transform(result, result.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return result;
}

} // namespace

void throw_openssl_error(const std::string& what) {
    // The first is the cause; those after it are the callers' complaints. Except where a file is missing: errno says it all.
    unsigned long code = ERR_get_error();
    ERR_clear_error();
    if (ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE)
        throw std::bad_alloc{};
    if (code == 0) // it does not say
        throw std::system_error(std::make_error_code(std::errc::protocol_error), what);
    throw std::system_error(openssl_error(code), what);
}

std::string describe_tls_error(int code) {
    // Results of verification are small numbers; OpenSSL's codes have the number of one of its libraries in front.
    if (code > 0 && code < 1000)
        return X509_verify_cert_error_string(code);
    const auto whole = static_cast<unsigned long>(static_cast<unsigned>(code));
    const char* reason = ERR_reason_error_string(whole);
    const char* library = ERR_lib_error_string(whole);
    return std::string{reason ? reason : "error " + std::to_string(code)} + " (" + (library ? library : "OpenSSL") +
           ')';
}

openssl_configuration::openssl_configuration(bool is_server, const std::vector<std::string>& protocols,
                                             net::tls_version minimum)
    : context_(SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method())), is_server_(is_server) {
    if (!context_)
        throw_openssl_error("net::tls_context");
    SSL_CTX* const context = context_.get();
    SSL_CTX_set_min_proto_version(context, minimum == net::tls_version::v1_3 ? TLS1_3_VERSION : TLS1_2_VERSION);
    // A peer cannot make a transfer into another handshake. Compression tells lengths, hence secrets.
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    // A connection that waits has no buffers.
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_AUTO_RETRY);
    // One system call reads several records.
    SSL_CTX_set_read_ahead(context, 1);
    SSL_CTX_set_default_read_buffer_len(context, std::size_t{4} * (SSL3_RT_MAX_PLAIN_LENGTH + 256));
    // Nothing is kept for clients: they get it as a ticket. What a client keeps is its user's affair: tls_stream::session().
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    static constexpr unsigned char session_context[] = "coir";
    SSL_CTX_set_session_id_context(context, session_context, sizeof session_context - 1);

    for (const std::string& protocol : protocols) {
        if (protocol.empty() || protocol.size() > 255)
            throw std::invalid_argument("net::tls_context: the name of a protocol has 1 to 255 bytes");
        protocols_ += static_cast<char>(static_cast<unsigned char>(protocol.size()));
        protocols_ += protocol;
    }
    const auto* wire_form = reinterpret_cast<const unsigned char*>(protocols_.data());
    if (is_server && !protocols_.empty())
        SSL_CTX_set_alpn_select_cb(context, choose_protocol, this);
    else if (!protocols_.empty() && // 0 is success, here only
             SSL_CTX_set_alpn_protos(context, wire_form, static_cast<unsigned>(protocols_.size())) != 0)
        throw_openssl_error("net::tls_context");
}

openssl_configuration::openssl_configuration(const net::tls_client_options& options)
    : openssl_configuration(false, options.protocols, options.minimum_version) {
    verifies_ = options.verify;
    SSL_CTX_set_verify(context_.get(), verifies_ ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
    trust(options.trust, verifies_);
    use(options.identity);
}

openssl_configuration::openssl_configuration(const net::tls_server_options& options)
    : openssl_configuration(true, options.protocols, options.minimum_version) {
    verifies_ = options.clients != net::client_certificate::none;
    int mode = SSL_VERIFY_NONE;
    if (verifies_) {
        mode = SSL_VERIFY_PEER;
        trust(options.trust, true);
        name_authorities(context_.get(), options.trust);
    }
    if (options.clients == net::client_certificate::require)
        mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    SSL_CTX_set_verify(context_.get(), mode, nullptr);
    use(options.identity);
    SSL_CTX_set_tlsext_servername_callback(context_.get(), choose_identity);
    SSL_CTX_set_tlsext_servername_arg(context_.get(), this);
}

void openssl_configuration::use(const net::tls_identity& identity) {
    const clean_error_queue around;
    SSL_CTX* const context = context_.get();
    if (!identity.certificate_file.empty()) {
        if (SSL_CTX_use_certificate_chain_file(context, identity.certificate_file.c_str()) != 1)
            throw_openssl_error("net::tls_context: certificate " + identity.certificate_file);
    } else if (!identity.certificate_pem.empty()) {
        use_chain_text(context, identity.certificate_pem);
    } else {
        return;
    }
    SSL_CTX_set_default_passwd_cb(context, no_passphrase);
    if (!identity.key_file.empty()) {
        if (SSL_CTX_use_PrivateKey_file(context, identity.key_file.c_str(), SSL_FILETYPE_PEM) != 1)
            throw_openssl_error("net::tls_context: key " + identity.key_file);
    } else {
        use_key_text(context, identity.key_pem);
    }
    if (SSL_CTX_check_private_key(context) != 1)
        throw_openssl_error("net::tls_context: the key is not that of the certificate");
}

void openssl_configuration::trust(const net::tls_trust& authorities, bool else_system) {
    const clean_error_queue around;
    SSL_CTX* const context = context_.get();
    if (!authorities.file.empty() && SSL_CTX_load_verify_file(context, authorities.file.c_str()) != 1)
        throw_openssl_error("net::tls_context: trusted certificates " + authorities.file);
    if (!authorities.directory.empty()) {
        const std::string what = "net::tls_context: trusted certificates in " + authorities.directory;
        std::error_code error;
        // OpenSSL would not look before it needs a certificate, and then not say that there are none.
        if (!std::filesystem::is_directory(authorities.directory, error))
            throw std::system_error(error ? error : std::make_error_code(std::errc::not_a_directory), what);
        if (SSL_CTX_load_verify_dir(context, authorities.directory.c_str()) != 1)
            throw_openssl_error(what);
    }
    if (!authorities.pem.empty())
        trust_text(context, authorities.pem);
    const bool nothing = authorities.file.empty() && authorities.directory.empty() && authorities.pem.empty();
    if (nothing && else_system && SSL_CTX_set_default_verify_paths(context) != 1)
        throw_openssl_error("net::tls_context: the system's trusted certificates");
}

void openssl_configuration::add_name(std::string_view name, std::shared_ptr<tls_configuration> other) {
    if (name.starts_with("*."))
        name.remove_prefix(1);
    // A context that shows itself under another name would otherwise own itself.
    if (other.get() == this)
        other = nullptr;
    names_.insert_or_assign(in_small_letters(name), std::move(other));
}

std::unique_ptr<tls_engine> openssl_configuration::make_client(tls_wire& wire, std::string_view host,
                                                               const tls_ticket* resumed) const {
    const clean_error_queue around;
    return std::make_unique<openssl_engine>(shared_from_this(), wire, host, resumed);
}

std::unique_ptr<tls_engine> openssl_configuration::make_server(tls_wire& wire) const {
    const clean_error_queue around;
    return std::make_unique<openssl_engine>(shared_from_this(), wire);
}

// The first of ours that the client offers.
int openssl_configuration::choose_protocol(SSL*, const unsigned char** chosen, unsigned char* size,
                                           const unsigned char* offered, unsigned offered_size, void* self) noexcept {
    const std::string& ours = static_cast<openssl_configuration*>(self)->protocols_;
    unsigned char* found = nullptr;
    if (SSL_select_next_proto(&found, size, reinterpret_cast<const unsigned char*>(ours.data()),
                              static_cast<unsigned>(ours.size()), offered, offered_size) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *chosen = found;
    return SSL_TLSEXT_ERR_OK;
}

// For a second ClientHello OpenSSL asks again, with `self` of the SSL_CTX that the SSL has by then. What counts is how it was made.
int openssl_configuration::choose_identity(SSL* ssl, int*, void* self) noexcept try {
    openssl_engine* const engine = openssl_engine::find(ssl);
    const auto& own = engine ? engine->configuration() : *static_cast<openssl_configuration*>(self);
    const auto& names = own.names_;
    const char* asked = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    if (!asked || names.empty())
        return SSL_TLSEXT_ERR_OK;
    const std::string name = in_small_letters(asked);
    auto found = names.find(name);
    if (const std::size_t dot = name.find('.'); found == names.end() && dot != std::string::npos && dot != 0)
        found = names.find(std::string_view{name}.substr(dot));
    if (found == names.end() || !found->second)
        return SSL_TLSEXT_ERR_OK;
    // Brings along whom the other context trusts; but who vouches for a client is not the client's choice.
    if (!SSL_set_SSL_CTX(ssl, found->second->native_handle()))
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    if (engine)
        engine->keep(found->second);
    STACK_OF(X509_NAME)* const believed =
        SSL_set1_verify_cert_store(ssl, SSL_CTX_get_cert_store(own.native_handle())) == 1
            ? SSL_dup_CA_list(SSL_CTX_get_client_CA_list(own.native_handle()))
            : nullptr;
    if (!believed)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    SSL_set_client_CA_list(ssl, believed);
    return SSL_TLSEXT_ERR_OK;
} catch (const std::bad_alloc&) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

std::shared_ptr<tls_configuration> make_tls_configuration(const net::tls_client_options& options) {
    const clean_error_queue around;
    return std::make_shared<openssl_configuration>(options);
}

std::shared_ptr<tls_configuration> make_tls_configuration(const net::tls_server_options& options) {
    const clean_error_queue around;
    return std::make_shared<openssl_configuration>(options);
}

} // namespace coir::detail
