#pragma once

#include <concepts>
#include <cstdint>
#include <string_view>

namespace coir::net {

/// A port, given by number or by name: 443, "443" or "https". For use as an argument: it refers to the text from which it was
/// made.
///
///     coir::net::resolve("example.org", "https")      coir::net::connect(host, 8080)
class service {
public:
    constexpr service(std::uint16_t port) noexcept : port_(port) {} // NOLINT(google-explicit-constructor)

    template <class Text>
        requires(std::convertible_to<const Text&, std::string_view> && !std::same_as<Text, std::nullptr_t>)
    // NOLINTNEXTLINE(google-explicit-constructor)
    constexpr service(const Text& name) noexcept : name_(name), is_named_(true) {}

    [[nodiscard]] constexpr bool is_named() const noexcept { return is_named_; }
    /// 0 if it is_named().
    [[nodiscard]] constexpr std::uint16_t port() const noexcept { return port_; }
    [[nodiscard]] constexpr std::string_view name() const noexcept { return name_; }

private:
    std::uint16_t port_ = 0;
    std::string_view name_;
    bool is_named_ = false;
};

} // namespace coir::net
