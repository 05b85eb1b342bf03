#pragma once

namespace coir::net {

/// Who is at the other end of a Unix domain socket, as the kernel knows it: of a connection, the process that connected,
/// listened or made the pair, with its effective ids at that time; of a message, its sender, with its real ids unless it chose
/// another of its own (a privileged sender may claim any). The process may have ended since, and its number may belong to
/// another.
struct peer_credentials {
    int process; ///< its number, as this process sees it; 0 from another namespace
    unsigned user;
    unsigned group;

    bool operator==(const peer_credentials&) const noexcept = default;
};

} // namespace coir::net
