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

/// How a resolver is created. Settings not given here come from the configuration file, as in every other program.
struct resolver_options {
    /// DNS servers, asked in this order; empty: those of the configuration.
    std::vector<endpoint> servers{};
    /// Timeout of the first round of queries; doubled from round to round. 0: as configured, else 5 s.
    std::chrono::milliseconds timeout{0};
    /// Number of attempts per server. 0: as configured, else 4.
    int tries = 0;
    /// Search list for names with fewer than `dots` dots; none given: as configured.
    std::optional<std::vector<std::string>> search{};
    std::optional<int> dots{};
    /// Both files are re-read when they have changed, at most once a second.
    std::string configuration = "/etc/resolv.conf";
    std::string hosts_file = "/etc/hosts";
    /// Capacity of the cache, in answers; 0: none.
    std::size_t cached_answers = 1000;
    /// How long to cache that a name does not exist, or has no address.
    std::chrono::seconds negative_ttl{5};
    /// No answer is cached for longer, whatever its TTL.
    std::chrono::seconds longest_ttl{3600};
};

/// Looks up names and addresses: numeric addresses, the hosts file, its cache, and DNS servers (through c-ares). It needs no
/// thread, and a lookup makes only its fiber wait.
///
/// The answers are those of getaddrinfo(3) where /etc/nsswitch.conf says `hosts: files dns`: addresses in all numeric forms,
/// every matching line of the hosts file, search list, `ndots`, and the order of RFC 6724, with the preferences of glibc.
/// `localhost`, and names that end in `.localhost`, are this machine, and are never sent to servers. A trailing dot disables
/// the search list. Names are sent as they are: give those with non-ASCII characters in their encoded form (xn--…).
///
/// Fibers that look up the same name at once share one query; cancellation or a deadline of one does not affect the others. A
/// query that nobody waits for any more is abandoned. Answers are cached for their TTL.
///
/// Common to the calls that look something up:
/// - Suspension: when servers have to be asked. Files that have changed are read on the thread.
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
    /// Nobody may be waiting in it: otherwise a line on stderr says so, and the program aborts.
    ~resolver();
    resolver(const resolver&) = delete;
    resolver& operator=(const resolver&) = delete;

    /// The resolver that the free functions below use: one per thread, with default options. It and its cache outlive
    /// coir::run.
    [[nodiscard]] static resolver& common();

    /// The addresses of `name`, with the port of `port`; best first, at least one, none twice.
    [[nodiscard]] std::vector<endpoint> resolve(std::string_view name, service port, resolve_options options = {},
                                                deadline until = {});
    /// As above; empty on an error.
    [[nodiscard]] std::vector<endpoint> resolve(std::string_view name, service port, std::error_code& error,
                                                resolve_options options = {}, deadline until = {}) noexcept;

    /// The name of an address (reverse lookup); the port is ignored. Not cached.
    [[nodiscard]] std::string name_of(const endpoint& address, deadline until = {});
    [[nodiscard]] std::string name_of(const endpoint& address, std::error_code& error, deadline until = {}) noexcept;

    /// Empties the cache. Queries in progress are not affected. Never suspends.
    void flush() noexcept;

    /// Queries that servers have not answered yet; for diagnostics and tests.
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
