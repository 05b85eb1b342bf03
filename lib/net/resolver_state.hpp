#pragma once

#include "net/answer_cache.hpp"
#include "net/file_stamp.hpp"
#include "net/hosts_file.hpp"
#include "net/lookup.hpp"
#include "net/query_channel.hpp"
#include "net/service_ports.hpp"
#include "sched/loop.hpp"

#include <coir/resolver.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string_view>
#include <sys/types.h>
#include <system_error>
#include <vector>

namespace coir::detail {

/// What a resolver is: the steps from a question to its answer.
///
///     numbers -> hosts file -> localhost -> cache -> an open lookup of the same question -> a new one
///
/// A lookup is shared by all fibers that wait for its answer, each with a wait record in its list; its query_channel calls
/// finish(), which puts the answer into it and wakes them. Who leaves before that (deadline, cancellation) only takes its record
/// out. c-ares 1.18 cannot give up a single question. So one that nobody waits for stays where it is, and may be joined again;
/// its channel is closed, with all that is open there, as soon as nobody waits for anything of it. Hence nothing is kept open, and
/// nothing runs, but for fibers that wait.
class resolver_state {
public:
    explicit resolver_state(net::resolver_options options);
    ~resolver_state();
    resolver_state(const resolver_state&) = delete;
    resolver_state& operator=(const resolver_state&) = delete;

    struct result {
        std::shared_ptr<const answer> found; ///< null: `reason` says why
        wake_reason reason = wake_reason::none;
    };
    /// May suspend. Throws std::bad_alloc, and std::system_error when it cannot ask.
    [[nodiscard]] result look_up(loop& here, const question& asked, deadline until);
    [[nodiscard]] result look_up_name(loop& here, const net::endpoint& address, deadline until);

    /// What is known without asking; else null. Never suspends.
    [[nodiscard]] std::shared_ptr<const answer> find_known(loop& here, const question& asked);

    /// The port that `asked` stands for. On an error (see resolver_errc) 0. Never suspends. Throws std::bad_alloc.
    [[nodiscard]] std::uint16_t port_of(loop& here, net::service asked, std::error_code& error);

    void flush() noexcept { cache_.clear(); }
    [[nodiscard]] std::size_t open_queries() const noexcept { return lookups_.size(); }

    // For query_channel.

    /// `asked` has been answered, and is gone when this returns, unless somebody waits for it.
    void finish(lookup& asked, std::shared_ptr<const answer> found, long time_to_live) noexcept;
    /// The open question, or null.
    [[nodiscard]] lookup* find_open(const question& asked) noexcept;
    /// Nothing is open there any more. Closes it, perhaps.
    void idle(query_channel& channel) noexcept;

    /// For tests: time that has passed as far as the cache, and the looks at files, are concerned.
    loop_time skipped_time = 0;
    /// For tests.
    [[nodiscard]] std::size_t channel_count() const noexcept { return channels_.size(); }

private:
    [[nodiscard]] loop_time now(loop& here) const noexcept { return here.driver().now() + skipped_time; }
    void come_home(loop& here) noexcept;
    void look_at_files(loop_time now);
    [[nodiscard]] std::shared_ptr<lookup> begin(const question& asked, loop_time now);
    [[nodiscard]] std::shared_ptr<query_channel> obtain_channel(loop_time now);
    [[nodiscard]] result ask(loop& here, const question& asked, deadline until);
    [[nodiscard]] static result await(loop& here, lookup& open, deadline until);
    void abandon() noexcept;

    const net::resolver_options options_;
    answer_cache cache_;
    std::map<question, std::shared_ptr<lookup>> lookups_; // open
    std::vector<std::shared_ptr<query_channel>> channels_;
    hosts_file hosts_;
    file_stamp hosts_stamp_;
    file_stamp configuration_stamp_;
    loop_time next_look_at_files_ = without_waiting;
    service_ports services_;
    // Whose fibers wait and drive the channels.
    const loop* home_ = nullptr;
    pid_t process_ = 0;
};

/// For what is in net, and for tests.
struct resolver_access {
    [[nodiscard]] static resolver_state& state(net::resolver& of) noexcept;
};

/// In numbers, of whatever form getaddrinfo() takes: also "127.1". Port 0.
[[nodiscard]] bool is_numeric(std::string_view name, net::endpoint& address) noexcept;

/// `addresses` with that port.
[[nodiscard]] std::vector<net::endpoint> with_port(const std::vector<net::endpoint>& addresses, std::uint16_t port);

/// How a question for the addresses of `name` is put. std::error_code: it cannot be a name.
[[nodiscard]] question question_for(std::string_view name, net::address_family family, std::error_code& error);

} // namespace coir::detail
