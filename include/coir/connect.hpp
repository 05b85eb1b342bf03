#pragma once

#include <coir/connect_options.hpp>
#include <coir/deadline.hpp>
#include <coir/endpoint.hpp>
#include <coir/export.hpp>
#include <coir/resolver.hpp>
#include <coir/service.hpp>
#include <coir/tcp_stream.hpp>

#include <chrono>
#include <span>
#include <string_view>
#include <system_error>

namespace coir::net {

/// Options of connect().
struct host_connect_options {
    /// The next address is tried when the last attempt has failed, or has lasted this long.
    std::chrono::nanoseconds attempt_delay = std::chrono::milliseconds{250};
    /// How long IPv4 addresses that arrive first wait for the IPv6 addresses of the same name.
    std::chrono::nanoseconds resolution_delay = std::chrono::milliseconds{50};
    address_family family = address_family::any;
    /// Null: resolver::common().
    resolver* names = nullptr;
    /// How each attempt connects. `local` applies to addresses of its own family; for the others the kernel chooses a local
    /// address. With `fast_open`, an attempt on an address that has allowed it before succeeds at once, whether anybody listens
    /// there or not.
    connect_options attempts = {};
};

/// Connects to a host by its name, over whichever of its addresses answers first: "Happy Eyeballs", RFC 8305. IPv6 and IPv4
/// are looked up at once and tried in turn, each attempt with a head start before the next; the first connection wins, the
/// others are closed before the call returns.
///
/// May suspend; other fibers of the library make the attempts. Deadline (for everything, including the lookup):
/// std::errc::timed_out. Cancellation: coir::cancelled; with a std::error_code std::errc::operation_canceled. In each case, as
/// on an error, nothing is left open. Errors: std::system_error whose message names the host and contains the error of every
/// address that was tried; its code is that of the attempt that failed first, or what resolver::resolve() reports. Only inside
/// coir::run: elsewhere std::logic_error, or std::errc::operation_not_permitted.
///
///     coir::net::tcp_stream peer = coir::net::connect("www.example.org", "http", {}, 5s);
[[nodiscard]] COIR_EXPORT tcp_stream connect(std::string_view host, service port,
                                             const host_connect_options& options = {}, deadline until = {});
/// On an error the stream is not connected.
[[nodiscard]] COIR_EXPORT tcp_stream connect(std::string_view host, service port, std::error_code& error,
                                             const host_connect_options& options = {}, deadline until = {}) noexcept;

/// As above, over known addresses: in their order, but alternating between the families. No address:
/// std::errc::invalid_argument.
[[nodiscard]] COIR_EXPORT tcp_stream connect(std::span<const endpoint> candidates,
                                             const host_connect_options& options = {}, deadline until = {});
[[nodiscard]] COIR_EXPORT tcp_stream connect(std::span<const endpoint> candidates, std::error_code& error,
                                             const host_connect_options& options = {}, deadline until = {}) noexcept;

} // namespace coir::net
