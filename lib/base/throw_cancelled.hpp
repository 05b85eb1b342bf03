#pragma once

#include <coir/export.hpp>

namespace coir::detail {

/// Throws coir::cancelled, in the form that libstdc++ lets through.
[[noreturn]] COIR_EXPORT void throw_cancelled();

} // namespace coir::detail
