#pragma once

#include <coir/export.hpp>

#include <exception>

namespace coir::detail {

/// Throws coir::cancelled, in the form that libstdc++ lets through.
[[noreturn]] COIR_EXPORT void throw_cancelled();

/// `failure` is a coir::cancelled.
[[nodiscard]] bool is_cancelled(const std::exception_ptr& failure) noexcept;

} // namespace coir::detail
