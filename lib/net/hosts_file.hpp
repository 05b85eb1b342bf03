#pragma once

#include "net/lookup.hpp"

#include <istream>
#include <string>
#include <unordered_map>
#include <vector>

namespace coir::detail {

/// What a file like /etc/hosts says: see hosts(5). As with `multi on` in host.conf(5), all lines that have a name count.
class hosts_file {
public:
    hosts_file() = default;
    explicit hosts_file(std::istream& text);

    /// In the order of the file; `name` in small letters, without a dot at the end.
    [[nodiscard]] std::vector<net::endpoint> find(const std::string& name, question::kind wanted) const;
    /// Empty if there is none.
    [[nodiscard]] std::string find_name(const net::endpoint& address) const;

private:
    std::unordered_map<std::string, std::vector<net::endpoint>> addresses_;
    std::unordered_map<std::string, std::string> names_; // by address
};

/// As the DNS compares: ASCII only, whatever the locale.
[[nodiscard]] std::string in_small_letters(std::string_view name);

/// An address of the family that is wanted.
[[nodiscard]] inline bool is_wanted(const net::endpoint& address, question::kind wanted) noexcept {
    return wanted == question::kind::addresses || (wanted == question::kind::v4_addresses) == address.is_v4();
}

} // namespace coir::detail
