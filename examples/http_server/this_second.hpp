#pragma once

#include "options.hpp"

#include <coir/deadline.hpp>

#include <array>
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
    explicit this_second(const options& settings) noexcept : settings_(settings) {}

    /// To be called when a fiber has waited; otherwise this second is that of its last call.
    void update() noexcept {
        if (const std::time_t now = std::time(nullptr); now != number_) [[unlikely]]
            begin(now);
    }

    /// Since 1970.
    [[nodiscard]] std::time_t number() const noexcept { return number_; }
    /// "Sun, 06 Nov 1994 08:49:37 GMT".
    [[nodiscard]] std::string_view date() const noexcept { return {date_.data(), date_.size()}; }

    [[nodiscard]] coir::deadline header_deadline() const noexcept { return header_deadline_; }
    [[nodiscard]] coir::deadline idle_deadline() const noexcept { return idle_deadline_; }

private:
    void begin(std::time_t now) noexcept;

    const options& settings_;
    std::time_t number_ = -1;
    std::array<char, 29> date_{};
    coir::deadline header_deadline_;
    coir::deadline idle_deadline_;
};

} // namespace http_server
