#pragma once

#include <coir/export.hpp>

#include <system_error>
#include <type_traits>

namespace coir::net {

/// TLS failures that a program may want to distinguish. All other codes of tls_category() are OpenSSL's own.
///
///     catch (const std::system_error& failure) {
///         if (failure.code() == net::tls_errc::hostname_mismatch) …
enum class tls_errc {
    // What is wrong with the peer's certificate: OpenSSL's numbers.
    certificate_not_yet_valid = 9,
    certificate_expired = 10,
    certificate_self_signed = 18,
    certificate_chain_self_signed = 19, ///< complete, but nobody trusts its root
    certificate_issuer_unknown = 20,
    certificate_revoked = 23,
    hostname_mismatch = 62,
    ip_address_mismatch = 64,
    /// The connection ended without the peer's close_notify: an attacker can cause that, so the data read may be incomplete.
    truncated = 1000,
    /// The peer sends dozens of TLS protocol messages in a row (new keys, tickets, renegotiation requests) and no data, or it
    /// demands responses and reads none of them. Only an attacker does that.
    flooded = 1001,
};

/// The category of TLS errors: OpenSSL's codes with its texts, and those above. Errors of the underlying connection have the
/// system's codes (std::errc::connection_reset), deadlines std::errc::timed_out.
[[nodiscard]] COIR_EXPORT const std::error_category& tls_category() noexcept;

[[nodiscard]] inline std::error_code make_error_code(tls_errc code) noexcept {
    return {static_cast<int>(code), tls_category()};
}

} // namespace coir::net

template <> struct std::is_error_code_enum<coir::net::tls_errc> : std::true_type {};
