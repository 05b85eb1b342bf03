#pragma once

#include <coir/deadline.hpp>
#include <coir/endpoint.hpp>
#include <coir/export.hpp>
#include <coir/resolver_errc.hpp>
#include <coir/service.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace coir::detail {
class resolver_state;
struct resolver_access;
} // namespace coir::detail

namespace coir::net {

/// Which addresses of a name are wanted.
enum class address_family : unsigned char { any, v4, v6 };

struct resolve_options {
    address_family family = address_family::any;
};

/// How a resolver is made. What is not given here comes from the configuration file, as in every other program.
struct resolver_options {
    /// DNS servers, asked in this order; empty: those of the configuration.
    std::vector<endpoint> servers{};
    /// How long a server may take for its first answer; doubled from round to round. 0: as configured, else 5 s.
    std::chrono::milliseconds timeout{0};
    /// How often each server is asked. 0: as configured, else 4.
    int tries = 0;
    /// Domains to look for a name in that has fewer than `dots` dots; none given: as configured.
    std::optional<std::vector<std::string>> search{};
    std::optional<int> dots{};
    /// Both are looked at again when they have changed, at most once a second.
    std::string configuration = "/etc/resolv.conf";
    std::string hosts_file = "/etc/hosts";
    /// Answers that are kept; 0: none.
    std::size_t cached_answers = 1000;
    /// How long it is remembered that a name does not exist, or has no address.
    std::chrono::seconds negative_ttl{5};
    /// No answer is kept for longer, whatever its own time to live.
    std::chrono::seconds longest_ttl{3600};
};

/// Looks up names and addresses: in numbers, in the hosts file, in its cache, and by asking DNS servers (c-ares). It needs no
/// thread, and a lookup makes only its fiber wait.
///
/// The answers are those of getaddrinfo(3) where /etc/nsswitch.conf says `hosts: files dns`: addresses in all numeric forms,
/// every matching line of the hosts file, search list, `ndots`, and the order of RFC 6724, with the preferences of glibc.
/// `localhost` and what ends in `.localhost` is this machine, and is never asked for. A trailing dot keeps the search list out.
/// Names are sent as they are: those with other letters than ASCII have to be given in their encoded form (xn--…).
///
/// Fibers that look for the same thing at once share one query; cancelling one, or its deadline, leaves the others alone. When
/// nobody waits any more, what is under way is given up. Answers are kept for their time to live.
///
/// Common to the calls that look something up:
/// - Suspension: when servers have to be asked. Files are read by the thread (after a change of theirs).
/// - Deadline: std::errc::timed_out. An answer that is there is delivered even if the deadline has passed as well.
/// - Cancellation: coir::cancelled; with a std::error_code argument std::errc::operation_canceled.
/// - Errors: std::system_error that names what was looked for: resolver_errc, and what the system says when sockets or memory
///   run out. In a library built without c-ares (meson: -Dnames=disabled): std::errc::function_not_supported where a server
///   would have to be asked.
/// - Threads: a resolver belongs to the thread that uses it first. Only inside coir::run: elsewhere std::logic_error, or
///   std::errc::operation_not_permitted.
///
///     for (const coir::net::endpoint& each : coir::net::resolve("www.example.org", "https", {}, 5s))
///         std::cout << each.to_string() << '\n';
class COIR_EXPORT resolver {
public:
    /// Does not suspend, and reads nothing yet.
    explicit resolver(resolver_options options = {});
    /// Nobody must be waiting in it: that is said on stderr, and the program aborted.
    ~resolver();
    resolver(const resolver&) = delete;
    resolver& operator=(const resolver&) = delete;

    /// The one that the free functions below use: of this thread, with default options. It outlives coir::run, as does what it
    /// has in its cache.
    [[nodiscard]] static resolver& common();

    /// The addresses of `name`, with the port of `port`; best first, at least one, none twice.
    [[nodiscard]] std::vector<endpoint> resolve(std::string_view name, service port, resolve_options options = {},
                                                deadline until = {});
    /// As above; empty on an error.
    [[nodiscard]] std::vector<endpoint> resolve(std::string_view name, service port, std::error_code& error,
                                                resolve_options options = {}, deadline until = {}) noexcept;

    /// The name of an address, the other way round; its port has no meaning. Is not kept in the cache.
    [[nodiscard]] std::string name_of(const endpoint& address, deadline until = {});
    [[nodiscard]] std::string name_of(const endpoint& address, std::error_code& error, deadline until = {}) noexcept;

    /// Forgets all answers. What is under way is not touched. Never suspends.
    void flush() noexcept;

    /// Questions that servers have been asked and have not answered yet; for diagnostics and tests.
    [[nodiscard]] std::size_t open_queries() const noexcept;

private:
    friend struct detail::resolver_access;
    std::unique_ptr<detail::resolver_state> state_;
};

/// As the members of resolver::common().
[[nodiscard]] COIR_EXPORT std::vector<endpoint> resolve(std::string_view name, service port,
                                                        resolve_options options = {}, deadline until = {});
[[nodiscard]] COIR_EXPORT std::vector<endpoint> resolve(std::string_view name, service port, std::error_code& error,
                                                        resolve_options options = {}, deadline until = {}) noexcept;
[[nodiscard]] COIR_EXPORT std::string name_of(const endpoint& address, deadline until = {});
[[nodiscard]] COIR_EXPORT std::string name_of(const endpoint& address, std::error_code& error,
                                              deadline until = {}) noexcept;

} // namespace coir::net
