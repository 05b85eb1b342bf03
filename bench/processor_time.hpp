#pragma once

#include <chrono>

#include <sys/types.h>

/// What getrusage() reports to the process itself, user and system, of all its threads; readable from outside, and in
/// nanoseconds. Throws std::runtime_error if it has ended.
std::chrono::nanoseconds processor_time_of(pid_t process);
