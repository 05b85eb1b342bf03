#include "fetch.hpp"

#include "answer_parser.hpp"
#include "server_stream.hpp"

#include <coir/this_fiber.hpp>
#include <coir/tls_error.hpp>

#include <algorithm>
#include <array>
#include <random>
#include <span>
#include <stdexcept>
#include <string_view>
#include <system_error>

namespace http_client {
namespace {

using clock = std::chrono::steady_clock;

bool is_redirection(unsigned status) noexcept {
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/// The server is there, and may do better in a moment.
bool is_busy(unsigned status) noexcept {
    return status == 429 || status == 502 || status == 503 || status == 504;
}

/// A certificate does not become better by waiting. That a connection was cut is no certificate's fault.
bool is_final(const std::error_code& error) noexcept {
    return error.category() == coir::net::tls_category() && error != coir::net::tls_errc::truncated;
}

/// One request, one answer.
void exchange(const url& from, answer_parser& answer, const fetch_options& options, coir::deadline until) {
    server_stream stream{from, options.tls, until};
    const std::string request = "GET " + from.target + " HTTP/1.1\r\nHost: " + from.authority() +
                                "\r\nUser-Agent: coir-http_client\r\nAccept: */*\r\nConnection: close\r\n\r\n";
    stream.write_all(std::as_bytes(std::span{request}), until);
    std::array<char, 16 * 1024> buffer;
    while (!answer.is_complete()) {
        const std::size_t size = stream.read_some(std::as_writable_bytes(std::span{buffer}), until);
        answer.parse({buffer.data(), size});
    }
    stream.close();
}

/// One attempt, along all redirections.
void attempt(url from, page& result, const fetch_options& options, coir::deadline until) {
    for (unsigned left = options.redirections;; --left) {
        answer_parser answer;
        exchange(from, answer, options, until);
        if (!is_redirection(answer.status()) || answer.location().empty()) {
            result.status = answer.status();
            result.bytes = answer.body_size();
            return;
        }
        if (left == 0)
            throw std::invalid_argument("too many redirections");
        const bool was_secure = from.is_secure;
        from = from.resolve(answer.location());
        if (was_secure && !from.is_secure)
            throw std::invalid_argument("a redirection from https to http");
    }
}

/// Between half of it and all of it: clients that have failed together should not come back together.
std::chrono::nanoseconds spread(std::chrono::nanoseconds pause) {
    thread_local std::minstd_rand random{std::random_device{}()}; // no fiber waits in here
    return pause / 2 +
           std::chrono::nanoseconds{std::uniform_int_distribution<std::int64_t>{0, pause.count() / 2}(random)};
}

} // namespace

page fetch(const std::string& address, const fetch_options& options) {
    page result;
    const clock::time_point start = clock::now();
    const coir::deadline end = options.page_time;
    std::chrono::nanoseconds pause = options.pause;
    for (;;) {
        ++result.attempts;
        result.status = 0;
        result.failure.clear();
        bool is_hopeless = false;
        try {
            attempt(url::parse(address), result, options, std::min<coir::deadline>(end, options.attempt_time));
        } catch (const std::system_error& error) {
            result.failure = error.what();
            is_hopeless = is_final(error.code());
        } catch (const std::invalid_argument& error) {
            result.failure = error.what();
            is_hopeless = true;
        } catch (const std::runtime_error& error) {
            result.failure = error.what();
        }
        const bool again = result.status == 0 ? !is_hopeless : is_busy(result.status);
        if (!again || result.attempts >= options.attempts)
            break;
        const coir::deadline next = spread(pause);
        if (next >= end)
            break;
        coir::this_fiber::sleep_until(next);
        pause *= 2;
    }
    result.took = clock::now() - start;
    return result;
}

} // namespace http_client
