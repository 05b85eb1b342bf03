#pragma once

#include <coir/unix_endpoint.hpp>

#include <string>
#include <unistd.h>

namespace coir::test {

/// Of this test program only: abstract names are the machine's.
inline net::unix_endpoint abstract_name(const std::string& name) {
    return net::unix_endpoint::abstract("coir-test-" + std::to_string(::getpid()) + '-' + name);
}

} // namespace coir::test
