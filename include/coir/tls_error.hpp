#pragma once

#include <coir/export.hpp>

#include <system_error>
#include <type_traits>

namespace coir::net {

/// How TLS fails for reasons that a program may want to tell apart. All other codes of tls_category() are OpenSSL's own.
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
    /// The peer's bytes ended without its saying so (close_notify): whoever cuts connections can do that, so what has been read
    /// may be incomplete.
    truncated = 1000,
    /// The peer sends messages of TLS itself (new keys, tickets, offers to begin anew), dozens in a row and no data, or it asks
    /// for answers and reads none of them. Nobody but an attacker does.
    flooded = 1001,
};

/// Of the errors of TLS itself: OpenSSL's codes with its texts, and those above. What happens to the connection below has the
/// system's codes (std::errc::connection_reset), deadlines std::errc::timed_out.
[[nodiscard]] COIR_EXPORT const std::error_category& tls_category() noexcept;

[[nodiscard]] inline std::error_code make_error_code(tls_errc code) noexcept {
    return {static_cast<int>(code), tls_category()};
}

} // namespace coir::net

template <> struct std::is_error_code_enum<coir::net::tls_errc> : std::true_type {};
