#include "stack/stack.hpp"

#include "stack/guard.hpp"

#include <coir/stack_size.hpp>

#include <stdexcept>
#include <string>

namespace coir::detail {
namespace {

constexpr std::size_t largest = std::size_t{1} << 40;

std::size_t rounded_up(std::size_t bytes, std::size_t unit) {
    return (bytes + unit - 1) / unit * unit;
}

std::size_t checked(const char* what, std::size_t bytes, std::size_t minimum) {
    if (bytes >= minimum && bytes <= largest)
        return bytes;
    const bool small = bytes < minimum;
    throw std::invalid_argument("coir: " + std::string{what} + " of " + std::to_string(bytes) + " bytes is " +
                                (small ? "below the minimum of " : "above the maximum of ") +
                                std::to_string(small ? minimum : largest));
}

} // namespace

stack_geometry stack_geometry::of(std::size_t usable, std::size_t guard) {
    const std::size_t page = page_size();
    return {rounded_up(checked("stack_size", usable, minimum_stack_size) + most_above_top, 2 * page),
            rounded_up(checked("guard_size", guard, 0) + page, 2 * page) - page};
}

} // namespace coir::detail
