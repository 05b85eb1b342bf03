#pragma once

namespace coir::net {

/// Who is at the other end of a Unix domain socket, as the kernel knows it: who connected or listened, or made the pair, at that time
/// (effective ids); or who sent the message: there the ids are the real ones, unless the sender has chosen another of its own, and a
/// privileged one may claim any. The process may have ended since, and its number belong to another.
struct peer_credentials {
    int process; ///< its number, as this process sees it; 0 from another namespace
    unsigned user;
    unsigned group;

    bool operator==(const peer_credentials&) const noexcept = default;
};

} // namespace coir::net
