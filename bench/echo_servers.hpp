#pragma once

#include <cstddef>

/// \file
/// The servers of echo_bench. They listen on a port of 127.0.0.1 that the kernel chooses, write its number (a
/// std::uint16_t) to the descriptor `announce`, and send back what they get for as long as the process lives. They keep
/// a buffer of this size for every connection, as any real protocol must: an echo server could share one, and win.

inline constexpr std::size_t echo_buffer_size = 16 * 1024;

void serve_echo_by_coir(int announce);
/// With a deadline of 5 s for every read and every write.
void serve_echo_by_coir_with_deadlines(int announce);
void serve_echo_by_libev(int announce);
