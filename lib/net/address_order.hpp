#pragma once

#include <coir/endpoint.hpp>

#include <vector>

namespace coir::detail {

/// Sorts `addresses` so that the first is the one to be preferred: RFC 6724, section 6. Asks the system which of our addresses
/// would be used for each, which sends nothing.
void put_in_order(std::vector<net::endpoint>& addresses);

} // namespace coir::detail
