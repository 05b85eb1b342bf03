#pragma once

#include <string>

/// \file
/// What a descriptor leads to, for messages. Asks the system: only where something has failed already.
namespace coir::detail {

/// "192.0.2.1:80", the peer of a socket, also of one whose connection is broken; else the socket's own address; else
/// "descriptor 7".
[[nodiscard]] std::string name_of(int descriptor);

/// " with " a peer, or " on " something else; nothing if `descriptor` is no_handle.
[[nodiscard]] std::string place_of(int descriptor);

} // namespace coir::detail
