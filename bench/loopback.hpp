#pragma once

#include <cstdint>
#include <sys/socket.h>

/// A socket, in blocking mode and (TCP) without Nagle's delay, that is connected to 127.0.0.1:port. Throws std::system_error.
int connect_to_loopback(std::uint16_t port, int type = SOCK_STREAM);
