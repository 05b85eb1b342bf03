#pragma once

#include <coir/tls_context.hpp>

#include <ctime>
#include <memory>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdexcept>
#include <string>

/// Certificates for tests and benchmarks, made when they run: nothing in the repository expires.
namespace coir::test {

/// What a certificate says. Days are counted from now.
struct certificate_text {
    std::string name = "localhost";                   // common name
    std::string hosts = "DNS:localhost,IP:127.0.0.1"; // subjectAltName; "" for none
    int first_day = -1;
    int last_day = 1;
};

/// An authority: signs certificates, with a key and a certificate of its own.
class authority {
public:
    explicit authority(const std::string& name = "test authority")
        : key_(make_key()), certificate_(make({name, "", -10, 10}, key_.get(), true)) {
        sign(certificate_.get(), key_.get());
    }

    /// For those who trust it.
    [[nodiscard]] std::string pem() const { return text_of(certificate_.get()); }

    /// A certificate, and its key.
    [[nodiscard]] net::tls_identity issue(const certificate_text& text = {}) const {
        const key made = make_key();
        const certificate issued = make(text, made.get(), false);
        X509_set_issuer_name(issued.get(), X509_get_subject_name(certificate_.get()));
        sign(issued.get(), key_.get());
        return {.certificate_file = {},
                .key_file = {},
                .certificate_pem = text_of(issued.get()),
                .key_pem = text_of(made.get())};
    }

    /// One that nobody but itself has signed.
    [[nodiscard]] static net::tls_identity self_signed(const certificate_text& text = {}) {
        const key made = make_key();
        const certificate issued = make(text, made.get(), false);
        X509_set_issuer_name(issued.get(), X509_get_subject_name(issued.get()));
        sign(issued.get(), made.get());
        return {.certificate_file = {},
                .key_file = {},
                .certificate_pem = text_of(issued.get()),
                .key_pem = text_of(made.get())};
    }

private:
    struct free_it {
        void operator()(EVP_PKEY* object) const { EVP_PKEY_free(object); }
        void operator()(X509* object) const { X509_free(object); }
        void operator()(BIO* object) const { BIO_free(object); }
        void operator()(X509_EXTENSION* object) const { X509_EXTENSION_free(object); }
    };
    using key = std::unique_ptr<EVP_PKEY, free_it>;
    using certificate = std::unique_ptr<X509, free_it>;
    using bio = std::unique_ptr<BIO, free_it>;

    static key make_key() { return key{EVP_EC_gen("P-256")}; }

    static void add(X509* to, int kind, const std::string& value) {
        X509V3_CTX context;
        X509V3_set_ctx(&context, to, to, nullptr, nullptr, 0);
        const std::unique_ptr<X509_EXTENSION, free_it> made{
            X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str())};
        if (!made || X509_add_ext(to, made.get(), -1) != 1)
            throw std::runtime_error("extension " + value);
    }

    static certificate make(const certificate_text& text, EVP_PKEY* for_key, bool is_authority) {
        static long serial = std::time(nullptr);
        certificate made{X509_new()};
        X509* const it = made.get();
        X509_set_version(it, X509_VERSION_3);
        ASN1_INTEGER_set(X509_get_serialNumber(it), ++serial);
        X509_gmtime_adj(X509_getm_notBefore(it), text.first_day * 86'400L);
        X509_gmtime_adj(X509_getm_notAfter(it), text.last_day * 86'400L);
        X509_NAME_add_entry_by_txt(X509_get_subject_name(it), "CN", MBSTRING_UTF8,
                                   reinterpret_cast<const unsigned char*>(text.name.c_str()), -1, -1, 0);
        if (is_authority)
            X509_set_issuer_name(it, X509_get_subject_name(it));
        X509_set_pubkey(it, for_key);
        add(it, NID_basic_constraints, is_authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
        if (!text.hosts.empty())
            add(it, NID_subject_alt_name, text.hosts);
        return made;
    }

    static void sign(X509* it, EVP_PKEY* with) {
        if (X509_sign(it, with, EVP_sha256()) == 0)
            throw std::runtime_error("X509_sign");
    }

    static std::string text_in(BIO* from) {
        char* data = nullptr;
        const long size = BIO_get_mem_data(from, &data);
        return {data, static_cast<std::size_t>(size)};
    }
    static std::string text_of(X509* it) {
        const bio to{BIO_new(BIO_s_mem())};
        PEM_write_bio_X509(to.get(), it);
        return text_in(to.get());
    }
    static std::string text_of(EVP_PKEY* it) {
        const bio to{BIO_new(BIO_s_mem())};
        PEM_write_bio_PrivateKey(to.get(), it, nullptr, nullptr, 0, nullptr, nullptr);
        return text_in(to.get());
    }

    key key_;
    certificate certificate_;
};

} // namespace coir::test
