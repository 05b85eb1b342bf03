#pragma once

#include "net/resolver_state.hpp"

#include <coir/connect.hpp>
#include <coir/fiber.hpp>

#include <cstddef>
#include <deque>
#include <list>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <utility>

namespace coir::detail {

/// One net::connect(): addresses that come from lookups, or are there, and attempts to connect to them. Lives on the stack of the
/// fiber that called, which runs it; lookups and attempts are fibers of its own, and end before it does.
///
/// Everything here is of one loop, so "at once" is: in turns. A lookup or an attempt that ends changes what is written here. Its
/// end wakes the caller, also when it has had no stack to begin on; and the caller alone starts attempts:
///
///  - the first as soon as there is an address; if it is an IPv4 one, and IPv6 addresses may still come, a little later;
///  - each further one when an attempt has failed, or the last has been going on for the attempt delay;
///  - families take turns, as long as there are addresses of both.
class connection_race {
public:
    connection_race(loop& here, const net::host_connect_options& options)
        : here_(here), options_(options), options_of_others_(options.attempts) {
        options_of_others_.local.reset();
    }
    /// Ends what is going on. May suspend.
    ~connection_race();
    connection_race(const connection_race&) = delete;
    connection_race& operator=(const connection_race&) = delete;

    /// Candidates, best first.
    void add(std::span<const net::endpoint> addresses);
    /// Looks for candidates. `name` is possible, and not numeric.
    void look_up(resolver_state& names, const question& asked, std::uint16_t port);

    /// Until one has won: then it is in `winner`. Else an error. May suspend.
    [[nodiscard]] std::error_code run(deadline until);

    /// Of the addresses that were tried, for people.
    [[nodiscard]] std::string explain() const;

    [[nodiscard]] loop& where() const noexcept { return here_; }

    net::tcp_stream winner;

private:
    struct worker {
        explicit worker(fiber<void> made) noexcept : handle(std::move(made)), end(ended(handle)) {}
        fiber<void> handle;
        end_case end;
    };
    struct task {
        std::error_code error{}; // none while it goes on
        bool has_ended = false;
        std::optional<worker> work{}; // until the destructor; none if it could not begin
    };
    struct attempt : task {
        explicit attempt(const net::endpoint& where) : remote(where) {}
        const net::endpoint remote;
    };
    using search = task;

    void spawn_search(resolver_state& names, question asked, std::uint16_t port);
    void search_ended(search& which, std::error_code error);
    void start_next();
    [[nodiscard]] const net::connect_options& options_for(const net::endpoint& remote) const noexcept;
    void attempt_ended(attempt& which, std::error_code error, net::tcp_stream stream);
    void look_for_failed_starts();
    [[nodiscard]] wake_reason wait(deadline until) noexcept;
    template <class Function> void for_each_worker(Function function);
    [[nodiscard]] bool has_candidates() const noexcept { return !v4_.empty() || !v6_.empty(); }
    [[nodiscard]] bool is_over() const noexcept { return running_ == 0 && searching_ == 0 && !has_candidates(); }
    [[nodiscard]] std::error_code failure() const noexcept;

    loop& here_;
    const net::host_connect_options& options_;
    net::connect_options options_of_others_; // for the family that the local address is not of
    std::deque<net::endpoint> v6_;           // not tried yet
    std::deque<net::endpoint> v4_;
    bool v6_is_next_ = true;
    deadline next_start_ = deadline::passed(); // when the next attempt may begin
    std::list<attempt> attempts_;
    std::list<search> searches_;
    std::size_t running_ = 0;   // attempts
    std::size_t searching_ = 0; // searches
    std::error_code first_error_{};
};

} // namespace coir::detail
