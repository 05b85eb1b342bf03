#pragma once

#include <coir/unix_endpoint.hpp>

#include <cstdint>
#include <sys/socket.h>

namespace coir::detail {

/// Lets system calls write an address right into a unix_endpoint.
struct unix_endpoint_storage {
    static void* address(net::unix_endpoint& of) noexcept { return of.storage_.data(); }
    static constexpr socklen_t capacity = sizeof(net::unix_endpoint::storage_);
    /// What the system says that it has written: nothing for an unnamed sender, or one more than there is room for.
    static void set_size(net::unix_endpoint& of, socklen_t size) noexcept {
        if (size < sizeof(sa_family_t))
            of = net::unix_endpoint{};
        else
            of.size_ = static_cast<std::uint32_t>(size < capacity ? size : capacity);
    }
};

} // namespace coir::detail
