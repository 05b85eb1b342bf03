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

/// A certificate and its private key, each from a file or as text, in PEM. The certificate is followed by those of its issuers
/// below the root. All empty: none.
struct tls_identity {
    std::string certificate_file;
    std::string key_file;
    std::string certificate_pem;
    std::string key_pem;
};

/// The authorities whose certificates are believed. Those of all that is given count together; nothing: the system's.
struct tls_trust {
    std::string file;      // PEM, any number of certificates
    std::string directory; // as `openssl rehash` makes it
    std::string pem;       // text, any number of certificates
};

enum class tls_version : std::uint8_t { v1_2, v1_3 };

/// Whether a server wants a certificate of its clients. One that is given must be trusted in either case.
enum class client_certificate : std::uint8_t { none, request, require };

struct tls_client_options {
    tls_trust trust;
    /// For servers that ask who is calling.
    tls_identity identity;
    /// Application protocols (ALPN), the favourite first: "h2", "http/1.1".
    std::vector<std::string> protocols;
    tls_version minimum_version = tls_version::v1_2;
    /// Certificate chain, dates, and that it is for the host asked for. Without it anybody in between can read and write.
    bool verify = true;
};

struct tls_server_options {
    tls_identity identity;
    client_certificate clients = client_certificate::none;
    /// Of the clients' certificates.
    tls_trust trust;
    /// Application protocols (ALPN), the favourite first: the first that the client offers as well is chosen. A client that offers
    /// some, but none of these, is refused.
    std::vector<std::string> protocols;
    tls_version minimum_version = tls_version::v1_2;
};

/// What connections over TLS have in common: certificates, keys, whom to trust, what to speak. Made once for many; cheap to
/// copy, and kept alive by the streams made with it.
///
/// Never suspends; making one reads the files, for which the thread waits. Threads: may be used from all, once add_name() has
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

    /// Servers: a client that asks for the host `name` (SNI) is shown the identity of `other`, and offered its protocols; all else
    /// stays as it is here, as whose certificates are wanted and trusted.
    /// "example.org", or "*.example.org" for any one label in the place of the star; exact names go first. The others
    /// see this context's own identity. Throws std::invalid_argument for a context of a client.
    void add_name(std::string_view name, const tls_context& other);

    [[nodiscard]] bool is_server() const noexcept;

    /// OpenSSL's SSL_CTX, for what is missing here.
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
