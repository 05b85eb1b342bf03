#pragma once

#include <coir/export.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

struct ssl_ctx_st;

namespace coir::detail {
class tls_configuration;
}

namespace coir::net {

/// A certificate and its private key, each from a file or as text, in PEM. The certificate is followed by those of its issuers,
/// except the root. All empty: none.
struct tls_identity {
    std::string certificate_file = {};
    std::string key_file = {};
    std::string certificate_pem = {};
    std::string key_pem = {};
};

/// The trusted certificate authorities. All given sources are combined; nothing given: the system's.
struct tls_trust {
    std::string file = {};      // PEM, any number of certificates
    std::string directory = {}; // as `openssl rehash` makes it
    std::string pem = {};       // text, any number of certificates
};

enum class tls_version : std::uint8_t { v1_2, v1_3 };

/// Whether a server requests a certificate from its clients. One that is presented must be trusted in either case.
enum class client_certificate : std::uint8_t { none, request, require };

struct tls_client_options {
    tls_trust trust = {};
    /// The client's certificate, for servers that request one.
    tls_identity identity = {};
    /// Application protocols (ALPN), in order of preference: "h2", "http/1.1".
    std::vector<std::string> protocols = {};
    tls_version minimum_version = tls_version::v1_2;
    /// Verify certificate chain, dates, and the requested host. Without this, anybody in between can read and write.
    bool verify = true;
};

struct tls_server_options {
    tls_identity identity = {};
    client_certificate clients = client_certificate::none;
    /// For the clients' certificates.
    tls_trust trust = {};
    /// Application protocols (ALPN), in order of preference: the first that the client also offers is chosen. A client that
    /// offers some, but none of these, is refused.
    std::vector<std::string> protocols = {};
    tls_version minimum_version = tls_version::v1_2;
};

/// The settings that TLS connections share: certificates, keys, trusted authorities, protocols. Create it once for many
/// connections; it is cheap to copy, and kept alive by the streams made with it.
///
/// Never suspends; creating one reads the files, which blocks the thread. Threads: may be used from all, once add_name() has
/// been called for the last time. Also outside coir::run. Throws std::system_error naming the file (or what the text was for)
/// and OpenSSL's reason, std::errc::function_not_supported when coir was built without OpenSSL.
///
///     const auto context = coir::net::tls_context::client();
///     const auto context = coir::net::tls_context::server(
///         {.identity = {.certificate_file = "chain.pem", .key_file = "key.pem"}, .protocols = {"http/1.1"}});
class COIR_EXPORT tls_context {
public:
    /// For the side that connects.
    [[nodiscard]] static tls_context client(const tls_client_options& options = {});

    /// For the side that accepts. Throws std::invalid_argument without an identity.
    [[nodiscard]] static tls_context server(const tls_server_options& options);

    /// Servers: a client that asks for the host `name` (SNI) is shown the identity of `other`, and offered its protocols;
    /// everything else is as in this context, such as which client certificates are requested and trusted. `name` is
    /// "example.org", or "*.example.org" for any single label in place of the star; exact names take precedence. Other clients
    /// see this context's own identity. Throws std::invalid_argument for a context of a client.
    void add_name(std::string_view name, const tls_context& other);

    [[nodiscard]] bool is_server() const noexcept;

    /// OpenSSL's SSL_CTX, for features that are missing here.
    [[nodiscard]] ssl_ctx_st* native_handle() const noexcept;

    /// Not for users.
    [[nodiscard]] const std::shared_ptr<detail::tls_configuration>& configuration() const noexcept {
        return configuration_;
    }

private:
    explicit tls_context(std::shared_ptr<detail::tls_configuration> made) noexcept;

    std::shared_ptr<detail::tls_configuration> configuration_;
};

} // namespace coir::net
