#include "net/connection_race.hpp"

#include "sched/shared_wait.hpp"
#include "sched/spawn_helper.hpp"

#include <algorithm>
#include <utility>

namespace coir::detail {
namespace {

// Why a fiber has ended without having begun. Joins it.
std::error_code failure_of(fiber<void>& which) noexcept {
    try {
        which.join();
    } catch (const std::system_error& failure) {
        return failure.code();
    } catch (const std::exception&) { // as below
    }
    return std::make_error_code(std::errc::not_enough_memory);
}

} // namespace

connection_race::~connection_race() {
    // All first, so that they end side by side.
    for_each_worker([](worker& each) { each.handle.cancel(); });
}

template <class Function> void connection_race::for_each_worker(Function function) {
    for (attempt& each : attempts_)
        if (each.work)
            function(*each.work);
    for (search& each : searches_)
        if (each.work)
            function(*each.work);
}

void connection_race::add(std::span<const net::endpoint> addresses) {
    if (!has_candidates() && attempts_.empty() && searching_ == 0 && !addresses.empty())
        v6_is_next_ = addresses.front().is_v6();
    for (const net::endpoint& each : addresses)
        (each.is_v6() ? v6_ : v4_).push_back(each);
}

void connection_race::look_up(resolver_state& names, const question& asked, std::uint16_t port) {
    // What the hosts file and the cache know has no part in a race: a name that is there with one family only would have to wait
    // for servers to say that it has no other.
    if (const std::shared_ptr<const answer> known = names.find_known(here_, asked)) {
        first_error_ = known->error;
        return add(with_port(known->addresses, port));
    }
    if (asked.wanted != question::kind::addresses)
        return spawn_search(names, asked, port);
    spawn_search(names, {question::kind::v6_addresses, asked.name}, port);
    spawn_search(names, {question::kind::v4_addresses, asked.name}, port);
}

void connection_race::spawn_search(resolver_state& names, question asked, std::uint16_t port) {
    search& made = searches_.emplace_back();
    made.work.emplace(spawn_helper("net::connect", [this, &names, &made, asked = std::move(asked), port] {
        std::error_code error;
        try {
            const resolver_state::result result = names.look_up(here_, asked, deadline::never());
            error = result.found ? result.found->error : std::make_error_code(std::errc::operation_canceled);
            if (result.found && !error)
                add(with_port(result.found->addresses, port));
        } catch (const std::system_error& failure) {
            error = failure.code();
        } catch (const std::bad_alloc&) {
            error = std::make_error_code(std::errc::not_enough_memory);
        }
        search_ended(made, error);
    }));
    ++searching_;
}

void connection_race::search_ended(search& which, std::error_code error) {
    which.has_ended = true;
    which.error = error;
    --searching_;
    if (attempts_.empty())
        next_start_ = v6_.empty() && searching_ > 0 ? deadline{options_.resolution_delay} : deadline::passed();
}

void connection_race::start_next() {
    const bool takes_v6 = v4_.empty() || (v6_is_next_ && !v6_.empty());
    std::deque<net::endpoint>& from = takes_v6 ? v6_ : v4_;
    attempt& made = attempts_.emplace_back(from.front());
    from.pop_front();
    v6_is_next_ = !takes_v6;
    made.work.emplace(spawn_helper("net::connect", [this, &made, remote = made.remote] {
        std::error_code error;
        net::tcp_stream stream{remote, options_for(remote), error};
        attempt_ended(made, error, std::move(stream));
    }));
    ++running_;
    next_start_ = deadline{options_.attempt_delay};
}

const net::connect_options& connection_race::options_for(const net::endpoint& remote) const noexcept {
    const auto& local = options_.attempts.local;
    return local && local->is_v6() != remote.is_v6() ? options_of_others_ : options_.attempts;
}

void connection_race::attempt_ended(attempt& which, std::error_code error, net::tcp_stream stream) {
    --running_;
    which.has_ended = true;
    which.error = error;
    if (!error && !winner)
        winner = std::move(stream); // another that comes later closes its own
    if (error) {
        next_start_ = deadline::passed();
        if (!first_error_)
            first_error_ = error;
    }
}

std::error_code connection_race::run(deadline until) {
    for (;;) {
        look_for_failed_starts();
        if (winner)
            return {};
        if (has_candidates() && next_start_.has_passed()) {
            start_next();
            continue;
        }
        if (is_over())
            return failure();
        const wake_reason reason = wait(has_candidates() ? std::min(until, next_start_) : until);
        if (winner)
            return {};
        if (reason == wake_reason::cancelled)
            return std::make_error_code(std::errc::operation_canceled);
        if (reason == wake_reason::timed_out && until.has_passed())
            return std::make_error_code(std::errc::timed_out);
    }
}

// spawn() has promised them stacks; but a stack may turn out to be unusable when a fiber is to begin on it.
void connection_race::look_for_failed_starts() {
    for (search& each : searches_)
        if (!each.has_ended && each.work->end.try_now()) {
            const std::error_code error = failure_of(each.work->handle);
            each.work.reset();
            search_ended(each, error);
        }
    for (attempt& each : attempts_)
        if (!each.has_ended && each.work->end.try_now()) {
            const std::error_code error = failure_of(each.work->handle);
            each.work.reset();
            attempt_ended(each, error, {});
        }
}

// For the end of any worker that has not ended. As select(), but it does not throw.
wake_reason connection_race::wait(deadline until) noexcept {
    shared_wait whole{wait_kind::select, this};
    whole.begin();
    for_each_worker([&](worker& each) {
        each.end.begin(whole);
        static_cast<void>(each.end.enter()); // false of one that has
    });
    whole.park(until);
    const wake_reason reason = whole.end();
    for_each_worker([](worker& each) { each.end.leave(); });
    return reason;
}

// That the name has no address of one family says nothing when the other family has an error of its own.
std::error_code connection_race::failure() const noexcept {
    std::error_code error = first_error_;
    for (const search& each : searches_)
        if (attempts_.empty() && each.error && (!error || error == net::resolver_errc::no_data))
            error = each.error;
    return error ? error : std::make_error_code(std::errc::invalid_argument); // no addresses were given
}

std::string connection_race::explain() const {
    if (attempts_.empty() && searches_.empty())
        return " (no addresses were given)";
    std::string text;
    for (const attempt& each : attempts_) {
        text += text.empty() ? " (" : "; ";
        text += each.remote.to_string() + ": " + (each.error ? each.error.message() : "no answer yet");
    }
    return text.empty() ? text : text + ')';
}

} // namespace coir::detail
