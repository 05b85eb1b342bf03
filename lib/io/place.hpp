#pragma once

#include <string>
#include <system_error>

/// \file
/// What a descriptor leads to, for messages. Asks the system: only where something has failed already.
namespace coir::detail {

/// "descriptor 7": of one that has been closed, whatever it was.
[[nodiscard]] std::string number_of(int descriptor);

/// "192.0.2.1:80", the peer of a socket, also of one whose connection is broken; else the socket's own address; else
/// "descriptor 7". That is also all that is said if `failed` is bad_file_descriptor: the number may be another one's by now.
[[nodiscard]] std::string name_of(int descriptor, std::error_code failed = {});

/// " with " a peer, or " on " something else; nothing if `descriptor` is no_handle.
[[nodiscard]] std::string place_of(int descriptor, std::error_code failed = {});

} // namespace coir::detail
