#pragma once

#include <coir/export.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>

namespace coir::detail {
struct unix_endpoint_storage;
}

namespace coir::net {

/// The address of a Unix domain socket: a path in the file system, an abstract name (which is not in the file system, and
/// disappears with its socket), or unnamed, like the sockets of a pair and of clients.
///
///     coir::net::unix_endpoint{"/run/service.sock"}      coir::net::unix_endpoint::abstract("service")
class COIR_EXPORT unix_endpoint {
public:
    /// Unnamed.
    unix_endpoint() noexcept;

    /// At most 107 bytes. Throws std::system_error naming the path: std::errc::filename_too_long; invalid_argument if it is
    /// empty or has a zero inside.
    explicit unix_endpoint(std::string_view path);
    unix_endpoint(std::string_view path, std::error_code& error) noexcept;

    /// At most 107 bytes of any value, or none. Throws std::system_error: std::errc::filename_too_long.
    [[nodiscard]] static unix_endpoint abstract(std::string_view name);
    [[nodiscard]] static unix_endpoint abstract(std::string_view name, std::error_code& error) noexcept;

    /// From a `sockaddr_un` of `size` bytes. Throws std::system_error for another family.
    [[nodiscard]] static unix_endpoint from_native(const void* address, std::size_t size);

    [[nodiscard]] bool is_unnamed() const noexcept;
    [[nodiscard]] bool is_abstract() const noexcept;
    [[nodiscard]] bool is_path() const noexcept;
    /// The path or the abstract name; empty if there is none. Valid as long as this object.
    [[nodiscard]] std::string_view name() const noexcept;
    /// For messages: the path; "@name", with unprintable bytes as \x00; "(unnamed)".
    [[nodiscard]] std::string to_string() const;

    /// As a `sockaddr*`, with its size.
    [[nodiscard]] const void* native() const noexcept { return storage_.data(); }
    [[nodiscard]] std::size_t native_size() const noexcept { return size_; }

    bool operator==(const unix_endpoint& other) const noexcept;

private:
    friend struct detail::unix_endpoint_storage;

    void set(std::string_view name, std::size_t offset) noexcept;

    // A sockaddr_un, which unix_endpoint.cpp checks. What is behind size_ means nothing.
    alignas(2) std::array<char, 110> storage_;
    std::uint32_t size_;
};

} // namespace coir::net
