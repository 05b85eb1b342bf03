#include "base/module_of_code.hpp"

namespace coir::detail {

// A C library that can only be asked under a lock: none of a signal handler's.
void append_module(const void* /*address*/, bounded_text& /*text*/) noexcept {}

} // namespace coir::detail
