#pragma once

#include "options.hpp"

#include <coir/deadline.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <ctime>
#include <string_view>

namespace http_server {

/// What changes once a second: the Date field, and the deadlines counted from now.
///
/// A request would need the clock four times. One look at the kernel's coarse clock (a few instructions, no system
/// call) tells that everything computed for the previous request still holds; nearly always it does. The price: a
/// deadline may be up to a second later than asked for, which no timeout of this server minds.
class this_second {
public:
    explicit this_second(const options& settings) noexcept : settings_(settings) {
        std::copy(form.begin(), form.end(), start_.begin());
    }

    /// To be called when a fiber has waited; otherwise this second is that of its last call.
    void update() noexcept {
        if (const std::time_t now = std::time(nullptr); now != number_) [[unlikely]]
            begin(now);
    }

    /// Since 1970.
    [[nodiscard]] std::time_t number() const noexcept { return number_; }
    /// "HTTP/1.1 200 OK", and then the fields that every answer has.
    [[nodiscard]] std::string_view start_of_success() const noexcept { return {start_.data(), start_.size()}; }
    /// "Server: coir", "Date: Sun, 06 Nov 1994 08:49:37 GMT".
    [[nodiscard]] std::string_view common_fields() const noexcept { return start_of_success().substr(status_size); }

    [[nodiscard]] coir::deadline header_deadline() const noexcept { return header_deadline_; }
    [[nodiscard]] coir::deadline idle_deadline() const noexcept { return idle_deadline_; }

private:
    void begin(std::time_t now) noexcept;

    static constexpr std::string_view form =
        "HTTP/1.1 200 OK\r\nServer: coir\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
    static constexpr std::size_t status_size = form.find("Server");
    static constexpr std::size_t date_offset = form.find("Sun");

    const options& settings_;
    std::time_t number_ = -1;
    std::array<char, form.size()> start_;
    coir::deadline header_deadline_;
    coir::deadline idle_deadline_;
};

} // namespace http_server
