#include "this_second.hpp"

#include "http_date.hpp"

#include <algorithm>

namespace http_server {

void this_second::begin(std::time_t now) noexcept {
    number_ = now;
    const auto date = format_http_date(now);
    std::copy(date.begin(), date.end(), start_.begin() + date_offset);
    // These serve for requests until the second is over; the last of them must not get less time than it was
    // promised.
    header_deadline_ = settings_.header_timeout + std::chrono::seconds{1};
    idle_deadline_ = settings_.idle_timeout + std::chrono::seconds{1};
}

} // namespace http_server
