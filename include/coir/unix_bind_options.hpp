#pragma once

namespace coir::net {

/// How a Unix domain socket takes a path.
struct unix_bind_options {
    /// Permissions of the file, less the umask's: who may connect needs the right to write. Set before the file
    /// exists, so that nobody is faster.
    unsigned mode = 0777;
    /// When the path is a socket that nobody listens to any more, left behind by a process that was killed, it is replaced.
    /// Without this, and when somebody does listen: std::errc::address_in_use. Two that do it at the same moment may take the
    /// path from each other: a lock is the caller's business.
    bool replace_stale = false;
    /// What is received, also by the connections that a listener accepts, says who sent it (SO_PASSCRED): received_message::sender. A socket
    /// without a name gets one when it sends, so that it can be answered.
    bool credentials = false;
};

} // namespace coir::net
