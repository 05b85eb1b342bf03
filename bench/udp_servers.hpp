#pragma once

#include <cstddef>

/// \file
/// The servers of udp_bench. They are bound to a port of 127.0.0.1 that the kernel chooses, write its number (a std::uint16_t)
/// to the descriptor `announce`, and send back the datagrams that they get for as long as the process lives: so many with
/// one system call as there are, up to this number.

inline constexpr std::size_t udp_batch = 64;
inline constexpr std::size_t udp_buffer_size = 2048;

void serve_udp_by_coir(int announce);
void serve_udp_by_libev(int announce);
