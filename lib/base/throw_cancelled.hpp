#pragma once

#include <coir/export.hpp>

#include <cstddef>
#include <exception>

namespace coir::detail {

/// Throws coir::cancelled, in the form that libstdc++ lets through.
[[noreturn]] COIR_EXPORT void throw_cancelled();

/// The same for io::transfer_cancelled.
[[noreturn]] COIR_EXPORT void throw_transfer_cancelled(std::size_t bytes_transferred);

/// `failure` is a coir::cancelled, or derived from it.
[[nodiscard]] bool is_cancelled(const std::exception_ptr& failure) noexcept;

} // namespace coir::detail
