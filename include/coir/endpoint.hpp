#pragma once

#include <coir/export.hpp>

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>

namespace coir::detail {
struct endpoint_storage;
}

namespace coir::net {

/// An address and a port of TCP or UDP, over IPv4 or IPv6. Numeric: names are not looked up.
///
///     coir::net::endpoint{"127.0.0.1", 8080}      coir::net::endpoint{"::1", 8080}     endpoint::parse("[::1]:8080")
///     std::cout << listener.local_endpoint().to_string();
class COIR_EXPORT endpoint {
public:
    /// 0.0.0.0, port 0.
    endpoint() noexcept;

    /// A numeric `address`: "192.0.2.1", "2001:db8::1", "fe80::1%eth0"; "" stands for every local address (::, which also
    /// accepts IPv4). Throws std::system_error with std::errc::invalid_argument, naming the address.
    endpoint(std::string_view address, std::uint16_t port);
    endpoint(std::string_view address, std::uint16_t port, std::error_code& error) noexcept;

    /// "192.0.2.1:80" or "[2001:db8::1]:80". Errors as above.
    [[nodiscard]] static endpoint parse(std::string_view text);
    [[nodiscard]] static endpoint parse(std::string_view text, std::error_code& error) noexcept;

    /// From a `sockaddr_in` or `sockaddr_in6` of `size` bytes. Throws std::system_error for another family.
    [[nodiscard]] static endpoint from_native(const void* address, std::size_t size);

    [[nodiscard]] bool is_v4() const noexcept;
    [[nodiscard]] bool is_v6() const noexcept;
    [[nodiscard]] std::uint16_t port() const noexcept;
    /// An IPv6 socket sees an IPv4 peer at the "mapped" address ::ffff:192.0.2.1. Returns the IPv4 endpoint of such an address,
    /// 192.0.2.1 with the same port; any other endpoint unchanged.
    [[nodiscard]] endpoint unmapped() const noexcept;
    /// "192.0.2.1" or "2001:db8::1".
    [[nodiscard]] std::string address() const;
    /// "192.0.2.1:80" or "[2001:db8::1]:80": the format that parse() accepts.
    [[nodiscard]] std::string to_string() const;

    /// As a `sockaddr*`, with its size.
    [[nodiscard]] const void* native() const noexcept { return storage_.data(); }
    [[nodiscard]] std::size_t native_size() const noexcept { return size_; }

    bool operator==(const endpoint& other) const noexcept;

private:
    friend struct detail::endpoint_storage;

    alignas(8) std::array<std::byte, 28> storage_{}; // sockaddr_in or sockaddr_in6; endpoint.cpp checks that it fits
    std::uint32_t size_ = 0;
};

} // namespace coir::net
