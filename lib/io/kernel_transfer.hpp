#pragma once

#include "io/operation.hpp"
#include "sched/loop.hpp"

#include <cstddef>
#include <cstdint>

namespace coir::detail {

/// io::send_file() and io::splice().
outcome send_file(loop& here, int out, int file, std::uint64_t offset, std::size_t count, deadline until) noexcept;
outcome splice(loop& here, int in, int out, std::size_t count, deadline until) noexcept;

} // namespace coir::detail
