#pragma once

#include <coir/detail/intrusive_list.hpp>
#include <coir/detail/wait_record.hpp>
#include <coir/endpoint.hpp>
#include <coir/resolver.hpp>

#include <chrono>
#include <compare>
#include <cstddef>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

namespace coir::detail {

class query_channel;

/// What can be asked. `name` is in small letters; a dot at its end means that it is complete.
struct question {
    enum class kind : unsigned char { addresses, v4_addresses, v6_addresses, name_of_address };

    kind wanted;
    std::string name; ///< for name_of_address: as it stands in the DNS, 1.2.0.192.in-addr.arpa

    auto operator<=>(const question&) const = default; // NOLINT(modernize-use-nullptr): clang-tidy 14
};

/// What came of it. Shared by all who asked, and by the cache.
struct answer {
    std::error_code error{};
    std::vector<net::endpoint> addresses{}; ///< best first; port 0
    std::string name{};
};

/// A question that is being put to servers, and the fibers that wait for its answer. Belongs to the resolver_state, and to each
/// who waits.
struct lookup {
    explicit lookup(question what) : asked(std::move(what)) {}

    const question asked;
    std::shared_ptr<const answer> found;    ///< null while it is open; set by resolver_state::finish()
    intrusive_list<wait_record> waiting;    ///< until it is
    std::size_t waiters = 0;                ///< in `waiting`, or claimed and not back yet
    std::shared_ptr<query_channel> through; ///< who asks
    std::error_code refusal{};              ///< what a server has said instead of an answer; noted by the query_channel
    // Of a search list in which the servers of one domain fail; the query_channel's.
    std::string failing;              ///< for what name SERVFAIL has come last
    bool goes_on = false;             ///< c-ares has given up for that: what follows is asked one by one
    std::vector<std::string> untried; ///< the last comes next
};

} // namespace coir::detail
