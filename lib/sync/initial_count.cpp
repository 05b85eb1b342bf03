#include <coir/detail/initial_count.hpp>

#include <stdexcept>
#include <string>

namespace coir::detail {

void throw_bad_count(const char* of, std::ptrdiff_t count) {
    throw std::invalid_argument(std::string("coir: a ") + of + " cannot begin with " + std::to_string(count));
}

} // namespace coir::detail
