#pragma once

#include <cstdint>

/// A socket, in blocking mode and without Nagle's delay, that is connected to 127.0.0.1:port. Throws std::system_error.
int connect_to_loopback(std::uint16_t port);
