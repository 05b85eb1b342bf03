#pragma once

#include <coir/endpoint.hpp>

#include <cstdint>
#include <sys/socket.h>

namespace coir::detail {

/// Lets system calls write an IPv4 or IPv6 address right into an endpoint.
struct endpoint_storage {
    static void* address(net::endpoint& of) noexcept { return of.storage_.data(); }
    static constexpr socklen_t capacity = sizeof(net::endpoint::storage_);
    /// What the system says that it has written.
    static void set_size(net::endpoint& of, socklen_t size) noexcept { of.size_ = static_cast<std::uint32_t>(size); }
};

} // namespace coir::detail
