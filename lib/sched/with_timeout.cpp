#include <coir/with_timeout.hpp>

namespace coir {

timed_out::timed_out()
    : std::system_error(std::make_error_code(std::errc::timed_out), "coir: the deadline of with_timeout() has passed") {
}

timed_out::~timed_out() = default;

} // namespace coir
