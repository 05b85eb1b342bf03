#pragma once

namespace coir::net {

/// How a Unix domain socket is bound to a path.
struct unix_bind_options {
    /// Permissions of the file, less the umask; connecting needs write permission. They are set before the file exists, so that
    /// there is no race.
    unsigned mode = 0777;
    /// Replaces a socket at that path if nobody listens there any more, such as one left behind by a killed process. Without
    /// this, or if somebody does listen: std::errc::address_in_use. Two processes that do it at the same moment may take the
    /// path from each other: locking is the caller's business.
    bool replace_stale = false;
    /// Received messages, including those of accepted connections, carry the sender's credentials (SO_PASSCRED):
    /// received_message::sender. An unnamed socket gets a name when it sends, so that it can be answered.
    bool credentials = false;
};

} // namespace coir::net
