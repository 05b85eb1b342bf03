#pragma once

#include <array>

/// The first two cores that this process may use: one for servers, one for their load. Throws std::runtime_error if there is
/// only one.
std::array<int, 2> two_cores();
