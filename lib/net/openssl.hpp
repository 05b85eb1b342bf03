#pragma once

#include <coir/tls_error.hpp>

#include <memory>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <string>
#include <system_error>

namespace coir::detail {

/// Owners of OpenSSL's objects.
template <auto Free> struct openssl_deleter {
    template <class Object> void operator()(Object* object) const noexcept { Free(object); }
};
template <class Object, auto Free> using openssl_pointer = std::unique_ptr<Object, openssl_deleter<Free>>;

using ssl_pointer = openssl_pointer<SSL, SSL_free>;
using ssl_ctx_pointer = openssl_pointer<SSL_CTX, SSL_CTX_free>;
using session_pointer = openssl_pointer<SSL_SESSION, SSL_SESSION_free>;
using x509_pointer = openssl_pointer<X509, X509_free>;
using key_pointer = openssl_pointer<EVP_PKEY, EVP_PKEY_free>;
using bio_pointer = openssl_pointer<BIO, BIO_free>;

/// Around every use of OpenSSL: its error queue is the thread's, and what other code has left in it makes a harmless result
/// look like an error (hazard D4); nor is anything left for others.
class clean_error_queue {
public:
    clean_error_queue() noexcept { clear(); }
    ~clean_error_queue() { clear(); }
    clean_error_queue(const clean_error_queue&) = delete;
    clean_error_queue& operator=(const clean_error_queue&) = delete;

private:
    // Clearing goes over all of the queue, which costs more than to see that it is empty, as it nearly always is.
    static void clear() noexcept {
        if (ERR_peek_error() != 0)
            ERR_clear_error();
    }
};

/// As a std::error_code. A library's code fits an int; with the top bit it is an errno.
[[nodiscard]] inline std::error_code openssl_error(unsigned long code) noexcept {
    if (ERR_SYSTEM_ERROR(code))
        return {ERR_GET_REASON(code), std::generic_category()};
    return {static_cast<int>(code), net::tls_category()};
}

/// Throws what OpenSSL found wrong, the first error of the queue.
[[noreturn]] void throw_openssl_error(const std::string& what);

} // namespace coir::detail
