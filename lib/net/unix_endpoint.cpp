#include <coir/unix_endpoint.hpp>

#include "base/printable.hpp"
#include "net/unix_endpoint_storage.hpp"

#include <algorithm>
#include <cstring>
#include <sys/un.h>

namespace coir::net {
namespace {

constexpr std::size_t name_offset = offsetof(sockaddr_un, sun_path);
// Of a path there is also a zero at the end: some systems' tools rely on it. Of an abstract name one in front.
constexpr std::size_t longest_name = sizeof(sockaddr_un::sun_path) - 1;

[[noreturn]] void throw_invalid(const std::error_code& error, std::string_view name) {
    throw std::system_error(error, "not the name of a Unix domain socket: '" + std::string{name} + "'");
}

} // namespace

unix_endpoint::unix_endpoint() noexcept : size_(sizeof(sa_family_t)) {
    static_assert(sizeof(sockaddr_un) == sizeof storage_ && alignof(sockaddr_un) <= 2);
    const sa_family_t family = AF_UNIX;
    std::memcpy(storage_.data(), &family, sizeof family);
}

// `offset`: 1 leaves a zero in front.
void unix_endpoint::set(std::string_view name, std::size_t offset) noexcept {
    storage_[name_offset] = '\0';
    const auto end = std::copy(name.begin(), name.end(), storage_.begin() + name_offset + offset);
    if (offset == 0)
        *end = '\0';
    size_ = static_cast<std::uint32_t>(name_offset + name.size() + 1);
}

unix_endpoint::unix_endpoint(std::string_view path) : unix_endpoint() {
    std::error_code error;
    *this = unix_endpoint{path, error};
    if (error)
        throw_invalid(error, path);
}

unix_endpoint::unix_endpoint(std::string_view path, std::error_code& error) noexcept : unix_endpoint() {
    error.clear();
    if (path.empty() || path.find('\0') != std::string_view::npos)
        error = std::make_error_code(std::errc::invalid_argument);
    else if (path.size() > longest_name)
        error = std::make_error_code(std::errc::filename_too_long);
    else
        set(path, 0);
}

unix_endpoint unix_endpoint::abstract(std::string_view name) {
    std::error_code error;
    const unix_endpoint made = abstract(name, error);
    if (error)
        throw_invalid(error, name);
    return made;
}

unix_endpoint unix_endpoint::abstract(std::string_view name, std::error_code& error) noexcept {
    unix_endpoint made;
    error.clear();
    if (name.size() > longest_name)
        error = std::make_error_code(std::errc::filename_too_long);
    else
        made.set(name, 1);
    return made;
}

unix_endpoint unix_endpoint::from_native(const void* address, std::size_t size) {
    sa_family_t family = AF_UNSPEC;
    if (size >= sizeof family)
        std::memcpy(&family, address, sizeof family);
    unix_endpoint made;
    if (family != AF_UNIX || size > sizeof made.storage_)
        throw std::system_error(std::make_error_code(std::errc::address_family_not_supported),
                                "not the address of a Unix domain socket");
    std::memcpy(made.storage_.data(), address, size);
    made.size_ = static_cast<std::uint32_t>(size);
    return made;
}

bool unix_endpoint::is_unnamed() const noexcept {
    return size_ <= name_offset;
}

bool unix_endpoint::is_abstract() const noexcept {
    return !is_unnamed() && storage_[name_offset] == '\0';
}

bool unix_endpoint::is_path() const noexcept {
    return !is_unnamed() && !is_abstract();
}

std::string_view unix_endpoint::name() const noexcept {
    if (is_unnamed())
        return {};
    const std::string_view all{storage_.data() + name_offset, size_ - name_offset};
    return is_abstract() ? all.substr(1) : all.substr(0, all.find('\0'));
}

std::string unix_endpoint::to_string() const {
    if (is_unnamed())
        return "(unnamed)";
    if (is_path())
        return std::string{name()};
    return '@' + detail::printable(name());
}

bool unix_endpoint::operator==(const unix_endpoint& other) const noexcept {
    return is_unnamed() == other.is_unnamed() && is_abstract() == other.is_abstract() && name() == other.name();
}

} // namespace coir::net
