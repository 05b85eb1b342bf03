#include <coir/endpoint.hpp>

#include "io/socket_name.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <net/if.h>
#include <netinet/in.h>
#include <optional>
#include <sys/socket.h>

namespace coir::net {
namespace {

// "fe80:: ... %interface": what the longest address needs.
constexpr std::size_t longest_text = INET6_ADDRSTRLEN + IF_NAMESIZE;

template <class Number> std::optional<Number> number_from(std::string_view text) noexcept {
    Number number{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (text.empty() || error != std::errc{} || end != text.data() + text.size())
        return std::nullopt;
    return number;
}

// The part after '%': an interface by name or by number.
std::optional<std::uint32_t> scope_from(std::string_view text) noexcept {
    if (const auto number = number_from<std::uint32_t>(text))
        return number;
    if (text.empty() || text.size() >= IF_NAMESIZE)
        return std::nullopt;
    std::array<char, IF_NAMESIZE> name{};
    std::copy(text.begin(), text.end(), name.begin());
    const std::uint32_t index = ::if_nametoindex(name.data());
    return index != 0 ? std::optional{index} : std::nullopt;
}

std::optional<sockaddr_in> v4_from(std::string_view text) noexcept {
    std::array<char, INET_ADDRSTRLEN> address{};
    sockaddr_in made{};
    made.sin_family = AF_INET;
    // With a zero inside, what follows would be ignored.
    if (text.size() >= address.size() || text.find('\0') != std::string_view::npos)
        return std::nullopt;
    std::copy(text.begin(), text.end(), address.begin());
    return ::inet_pton(AF_INET, address.data(), &made.sin_addr) == 1 ? std::optional{made} : std::nullopt;
}

std::optional<sockaddr_in6> v6_from(std::string_view text) noexcept {
    std::array<char, INET6_ADDRSTRLEN> address{};
    sockaddr_in6 made{};
    made.sin6_family = AF_INET6;
    if (const auto percent = text.find('%'); percent != std::string_view::npos) {
        const auto scope = scope_from(text.substr(percent + 1));
        if (!scope)
            return std::nullopt;
        made.sin6_scope_id = *scope;
        text = text.substr(0, percent);
    }
    if (text.size() >= address.size() || text.find('\0') != std::string_view::npos)
        return std::nullopt;
    std::copy(text.begin(), text.end(), address.begin());
    return ::inet_pton(AF_INET6, address.data(), &made.sin6_addr) == 1 ? std::optional{made} : std::nullopt;
}

[[noreturn]] void throw_not_numeric(std::string_view text, std::error_code error) {
    throw std::system_error(error, "not a numeric address: '" + std::string{text} + "'");
}

} // namespace

endpoint::endpoint() noexcept : size_(sizeof(sockaddr_in)) {
    static_assert(sizeof(sockaddr_in6) == sizeof storage_ && sizeof(sockaddr_in) <= sizeof storage_);
    static_assert(alignof(sockaddr_in6) <= 8 && alignof(sockaddr_in) <= 8);
    sockaddr_in any{};
    any.sin_family = AF_INET;
    std::memcpy(storage_.data(), &any, sizeof any);
}

endpoint::endpoint(std::string_view address, std::uint16_t port) : endpoint() {
    std::error_code error;
    *this = endpoint{address, port, error};
    if (error)
        throw_not_numeric(address, error);
}

endpoint::endpoint(std::string_view address, std::uint16_t port, std::error_code& error) noexcept : endpoint() {
    error.clear();
    if (auto v4 = v4_from(address)) {
        v4->sin_port = htons(port);
        std::memcpy(storage_.data(), &*v4, size_ = sizeof *v4);
    } else if (auto v6 = v6_from(address.empty() ? "::" : address)) {
        v6->sin6_port = htons(port);
        std::memcpy(storage_.data(), &*v6, size_ = sizeof *v6);
    } else {
        error = std::make_error_code(std::errc::invalid_argument);
    }
}

endpoint endpoint::parse(std::string_view text) {
    std::error_code error;
    const endpoint parsed = parse(text, error);
    if (error)
        throw std::system_error(error, "not an address and a port: '" + std::string{text} + "'");
    return parsed;
}

endpoint endpoint::parse(std::string_view text, std::error_code& error) noexcept {
    error = std::make_error_code(std::errc::invalid_argument);
    const auto colon = text.rfind(':');
    if (colon == std::string_view::npos)
        return {};
    const auto port = number_from<std::uint16_t>(text.substr(colon + 1));
    std::string_view address = text.substr(0, colon);
    const bool brackets = address.size() >= 2 && address.front() == '[' && address.back() == ']';
    if (brackets)
        address = address.substr(1, address.size() - 2);
    // Brackets if and only if there are colons inside: otherwise "::1:80" could mean two things.
    if (!port || address.empty() || brackets != (address.find(':') != std::string_view::npos))
        return {};
    return endpoint{address, *port, error};
}

endpoint endpoint::from_native(const void* address, std::size_t size) {
    sa_family_t family = AF_UNSPEC;
    if (size >= offsetof(sockaddr, sa_family) + sizeof family)
        std::memcpy(&family, static_cast<const std::byte*>(address) + offsetof(sockaddr, sa_family), sizeof family);
    const std::size_t needed = family == AF_INET    ? sizeof(sockaddr_in)
                               : family == AF_INET6 ? sizeof(sockaddr_in6)
                                                    : SIZE_MAX;
    if (size < needed)
        throw std::system_error(std::make_error_code(std::errc::address_family_not_supported),
                                "neither an IPv4 nor an IPv6 address");
    endpoint made;
    made.storage_ = {};
    std::memcpy(made.storage_.data(), address, needed);
    made.size_ = static_cast<std::uint32_t>(needed);
    return made;
}

bool endpoint::is_v4() const noexcept {
    return size_ == sizeof(sockaddr_in);
}

bool endpoint::is_v6() const noexcept {
    return size_ == sizeof(sockaddr_in6);
}

namespace {

template <class Native> Native as(const endpoint& from) noexcept {
    Native native{};
    std::memcpy(&native, from.native(), sizeof native);
    return native;
}

} // namespace

std::uint16_t endpoint::port() const noexcept {
    return ntohs(is_v4() ? as<sockaddr_in>(*this).sin_port : as<sockaddr_in6>(*this).sin6_port);
}

endpoint endpoint::unmapped() const noexcept {
    const auto v4 = is_v6() ? detail::v4_of(as<sockaddr_in6>(*this)) : std::nullopt;
    if (!v4)
        return *this;
    endpoint made; // as large as an IPv4 one
    std::memcpy(made.storage_.data(), &*v4, sizeof *v4);
    return made;
}

std::string endpoint::address() const {
    std::array<char, longest_text> text{};
    if (is_v4()) {
        const auto v4 = as<sockaddr_in>(*this);
        return ::inet_ntop(AF_INET, &v4.sin_addr, text.data(), text.size());
    }
    const auto v6 = as<sockaddr_in6>(*this);
    std::string made = ::inet_ntop(AF_INET6, &v6.sin6_addr, text.data(), text.size());
    if (v6.sin6_scope_id != 0) {
        std::array<char, IF_NAMESIZE> name{};
        const char* known = ::if_indextoname(v6.sin6_scope_id, name.data());
        made += '%' + (known ? std::string{known} : std::to_string(v6.sin6_scope_id));
    }
    return made;
}

std::string endpoint::to_string() const {
    const std::string port_text = std::to_string(port());
    return is_v4() ? address() + ':' + port_text : '[' + address() + "]:" + port_text;
}

// Field by field: the rest is padding and flow labels.
bool endpoint::operator==(const endpoint& other) const noexcept {
    if (size_ != other.size_ || port() != other.port())
        return false;
    if (is_v4())
        return as<sockaddr_in>(*this).sin_addr.s_addr == as<sockaddr_in>(other).sin_addr.s_addr;
    const auto mine = as<sockaddr_in6>(*this);
    const auto theirs = as<sockaddr_in6>(other);
    return mine.sin6_scope_id == theirs.sin6_scope_id &&
           std::memcmp(&mine.sin6_addr, &theirs.sin6_addr, sizeof mine.sin6_addr) == 0;
}

} // namespace coir::net
