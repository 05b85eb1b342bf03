#pragma once

#include <coir/export.hpp>

#include <system_error>
#include <type_traits>

namespace coir::net {

/// Why a lookup failed. Each code compares equal to the std::errc beside it.
enum class resolver_errc {
    not_found = 1,   ///< there is no such name (NXDOMAIN); std::errc::no_such_device_or_address
    no_data,         ///< the name exists, but has no record of the requested type; std::errc::address_not_available
    server_failure,  ///< the servers could not find out (SERVFAIL); std::errc::resource_unavailable_try_again
    refused,         ///< the servers do not answer us (REFUSED); std::errc::permission_denied
    bad_response,    ///< malformed response; std::errc::bad_message
    no_answer,       ///< no server responded to any attempt; std::errc::timed_out
    unreachable,     ///< no server could be asked; std::errc::host_unreachable
    bad_name,        ///< not a name: empty, too long, an empty part; std::errc::invalid_argument
    unknown_service, ///< not a number, and not in /etc/services; std::errc::invalid_argument
};

/// The category of the codes above.
[[nodiscard]] COIR_EXPORT const std::error_category& resolver_category() noexcept;

[[nodiscard]] inline std::error_code make_error_code(resolver_errc error) noexcept {
    return {static_cast<int>(error), resolver_category()};
}

} // namespace coir::net

template <> struct std::is_error_code_enum<coir::net::resolver_errc> : std::true_type {};
