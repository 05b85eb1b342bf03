#include "net/hosts_file.hpp"

#include <algorithm>
#include <sstream>
#include <string_view>

namespace coir::detail {

std::string in_small_letters(std::string_view name) {
    std::string made{name};
    for (char& each : made)
        if (each >= 'A' && each <= 'Z')
            each = static_cast<char>(each - 'A' + 'a');
    return made;
}

hosts_file::hosts_file(std::istream& text) {
    for (std::string line; std::getline(text, line);) {
        std::istringstream words{line.substr(0, line.find('#'))};
        std::string word;
        std::error_code error;
        words >> word;
        const net::endpoint address{word.empty() ? "?" : std::string_view{word}, 0, error};
        if (error)
            continue;
        while (words >> word) {
            names_.try_emplace(address.address(), word);
            std::vector<net::endpoint>& known = addresses_[in_small_letters(word)];
            if (std::find(known.begin(), known.end(), address) == known.end())
                known.push_back(address);
        }
    }
}

std::vector<net::endpoint> hosts_file::find(const std::string& name, question::kind wanted) const {
    std::vector<net::endpoint> found;
    if (const auto known = addresses_.find(name); known != addresses_.end())
        for (const net::endpoint& each : known->second)
            if (is_wanted(each, wanted))
                found.push_back(each);
    return found;
}

std::string hosts_file::find_name(const net::endpoint& address) const {
    const auto known = names_.find(address.address());
    return known != names_.end() ? known->second : std::string{};
}

} // namespace coir::detail
