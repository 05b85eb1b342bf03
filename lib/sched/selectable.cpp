#include <coir/detail/selectable.hpp>

namespace coir::detail {

selectable::~selectable() = default;

} // namespace coir::detail
