#pragma once

#include <cstddef>

/// \file
/// The two servers of echo_bench. Both listen on a port of 127.0.0.1 that the kernel chooses, write its number (a
/// std::uint16_t) to the descriptor `announce`, and send back what they get for as long as the process lives. Both keep
/// a buffer of this size for every connection, as any real protocol must: an echo server could share one, and win.

inline constexpr std::size_t echo_buffer_size = 16 * 1024;

void serve_echo_by_coir(int announce);
void serve_echo_by_libev(int announce);
