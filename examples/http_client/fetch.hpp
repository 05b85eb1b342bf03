#pragma once

#include "url.hpp"

#include <coir/deadline.hpp>
#include <coir/tls_context.hpp>

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>

namespace http_client {

/// How pages are fetched.
struct fetch_options {
    std::chrono::milliseconds page_time{10'000};   // for a page, whatever it takes: attempts, pauses, redirections
    std::chrono::milliseconds attempt_time{5'000}; // for one attempt
    unsigned attempts = 3;
    std::chrono::milliseconds pause{100}; // after the first attempt that failed; after each further one twice as long
    unsigned redirections = 5;
    std::optional<coir::net::tls_context> tls; // for https
};

/// What became of a page.
struct page {
    unsigned status = 0; // 0: there is no answer, and `failure` says why
    std::size_t bytes = 0;
    unsigned attempts = 0;
    std::chrono::duration<double, std::milli> took{};
    std::string failure;

    [[nodiscard]] bool is_good() const noexcept { return status >= 200 && status < 300; }
};

/// Fetches the page at `address`, its body is counted and dropped. Tries again when the connection fails, when an attempt takes
/// too long, and when the server says that it is busy (429, 502, 503, 504). May suspend. Throws coir::cancelled and std::bad_alloc; all
/// else is in the result.
[[nodiscard]] page fetch(const std::string& address, const fetch_options& options);

} // namespace http_client
