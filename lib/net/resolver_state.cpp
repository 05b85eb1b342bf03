#include "net/resolver_state.hpp"

#include "base/diagnostic.hpp"
#include "base/process_end.hpp"
#include "io/operation.hpp"
#include "net/address_order.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <netinet/in.h>
#include <string>
#include <string_view>
#include <unistd.h>
#include <utility>

namespace coir::detail {
namespace {

using namespace std::chrono_literals;

// 192.0.2.1 is 1.2.0.192.in-addr.arpa, and an IPv6 address its 32 digits in the same way.
std::string name_in_dns(const net::endpoint& address) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string made;
    if (address.is_v4()) {
        std::array<std::uint8_t, 4> bytes{};
        std::memcpy(bytes.data(), &static_cast<const sockaddr_in*>(address.native())->sin_addr, bytes.size());
        for (std::size_t i = bytes.size(); i > 0; --i)
            made += std::to_string(bytes[i - 1]) + '.';
        return made + "in-addr.arpa";
    }
    std::array<std::uint8_t, 16> bytes{};
    std::memcpy(bytes.data(), &static_cast<const sockaddr_in6*>(address.native())->sin6_addr, bytes.size());
    for (std::size_t i = bytes.size(); i > 0; --i)
        for (const int digit : {bytes[i - 1] & 0xf, bytes[i - 1] >> 4})
            made += {digits[static_cast<std::size_t>(digit)], '.'};
    return made + "ip6.arpa";
}

constexpr loop_time between_looks_at_files = std::chrono::nanoseconds{1s}.count();

// So many at most; beyond that channels get more than the usual number of questions.
constexpr std::size_t most_channels = 64;
// With those whose port has been in use for long enough, and whose last questions find no answer; beyond that, they are used.
constexpr std::size_t most_channels_with_retired = 256;

std::shared_ptr<const answer> answer_of(std::vector<net::endpoint> addresses) {
    put_in_order(addresses);
    return std::make_shared<const answer>(answer{.addresses = std::move(addresses)});
}

std::string without_last_dot(const std::string& name) {
    return name.ends_with('.') ? name.substr(0, name.size() - 1) : name;
}

// RFC 6761.
std::vector<net::endpoint> this_machine(const std::string& name, question::kind wanted) {
    std::vector<net::endpoint> made;
    if (name != "localhost" && !name.ends_with(".localhost"))
        return made;
    for (const char* address : {"::1", "127.0.0.1"})
        if (const net::endpoint each{address, 0}; is_wanted(each, wanted))
            made.push_back(each);
    return made;
}

} // namespace

resolver_state::resolver_state(net::resolver_options options)
    : options_(std::move(options)), cache_(options_.cached_answers) {}

resolver_state::~resolver_state() {
    const bool is_home = home_ == loop::current() && process_ == ::getpid();
    if (!lookups_.empty() && (!is_home || is_process_ending()))
        abandon();
    for (const auto& [asked, open] : lookups_)
        if (open->waiters > 0) {
            report("a net::resolver is destroyed while a fiber waits in it for an answer about " + asked.name);
            std::abort();
        }
    while (!channels_.empty())
        channels_.back()->close();
}

resolver_state::result resolver_state::look_up(loop& here, const question& asked, deadline until) {
    come_home(here);
    if (std::shared_ptr<const answer> known = find_known(here, asked)) {
        here.spend(switches_per_system_call);
        return {std::move(known), wake_reason::notified};
    }
    return ask(here, asked, until);
}

resolver_state::result resolver_state::look_up_name(loop& here, const net::endpoint& address, deadline until) {
    come_home(here);
    look_at_files(now(here));
    if (std::string known = hosts_.find_name(address); !known.empty()) {
        here.spend(switches_per_system_call);
        return {std::make_shared<const answer>(answer{.name = std::move(known)}), wake_reason::notified};
    }
    return ask(here, {question::kind::name_of_address, name_in_dns(address)}, until);
}

std::shared_ptr<const answer> resolver_state::find_known(loop& here, const question& asked) {
    look_at_files(now(here));
    const std::string name = without_last_dot(asked.name);
    if (std::vector<net::endpoint> found = hosts_.find(name, asked.wanted); !found.empty())
        return answer_of(std::move(found));
    if (std::vector<net::endpoint> found = this_machine(name, asked.wanted); !found.empty())
        return answer_of(std::move(found));
    return cache_.find(asked, now(here));
}

std::uint16_t resolver_state::port_of(loop& here, net::service asked, std::error_code& error) {
    error.clear();
    if (!asked.is_named())
        return asked.port();
    const std::string_view name = asked.name();
    std::uint16_t number = 0;
    if (const auto [end, failure] = std::from_chars(name.data(), name.data() + name.size(), number);
        failure == std::errc{} && end == name.data() + name.size() && !name.empty())
        return number;
    const std::uint16_t found = services_.find(name, now(here));
    if (found == 0)
        error = net::resolver_errc::unknown_service;
    return found;
}

resolver_state::result resolver_state::ask(loop& here, const question& asked, deadline until) {
    if (until <= deadline::passed())
        return {nullptr, wake_reason::timed_out};
    std::shared_ptr<lookup> open;
    if (const auto known = lookups_.find(asked); known != lookups_.end())
        open = known->second;
    else
        open = begin(asked, now(here));
    return await(here, *open, until);
}

std::shared_ptr<lookup> resolver_state::begin(const question& asked, loop_time now) {
    auto made = std::make_shared<lookup>(asked);
    const std::shared_ptr<query_channel> channel = obtain_channel(now);
    lookups_.emplace(asked, made);
    try {
        channel->ask(*made, now);
    } catch (...) {
        lookups_.erase(asked);
        throw;
    }
    return made;
}

// The first that is not busy; a new one; or the one that is least busy.
std::shared_ptr<query_channel> resolver_state::obtain_channel(loop_time now) {
    std::size_t busy = 0;
    for (const auto& each : channels_) {
        if (each->is_worn_out(now))
            each->retire();
        if (each->is_retired())
            continue;
        if (each->open() < query_channel::usual_questions)
            return each;
        ++busy;
    }
    if (busy < most_channels && channels_.size() < most_channels_with_retired)
        return channels_.emplace_back(std::make_shared<query_channel>(*this, options_));
    const auto least = std::min_element(channels_.begin(), channels_.end(), [](const auto& a, const auto& b) {
        return std::pair{a->is_retired(), a->open()} < std::pair{b->is_retired(), b->open()};
    });
    if ((*least)->open() >= query_channel::most_questions)
        throw std::system_error(std::make_error_code(std::errc::resource_unavailable_try_again),
                                "net::resolver: too many questions at once");
    return *least;
}

resolver_state::result resolver_state::await(loop& here, lookup& open, deadline until) {
    if (open.found) {
        open.through->close_if_unwanted(); // asking may have ended other questions
        return {open.found, wake_reason::notified};
    }
    if (open.waiters++ == 0)
        open.through->enter();
    wait_record record{wait_kind::lookup, &open};
    open.waiting.push_back(record);
    const wake_reason reason = here.wait(record, until);
    --open.waiters;
    if (open.found)
        return {open.found, wake_reason::notified};
    if (open.waiters == 0)
        open.through->leave();
    return {nullptr, reason};
}

void resolver_state::finish(lookup& asked, std::shared_ptr<const answer> found, long time_to_live) noexcept {
    asked.found = std::move(found);
    const std::error_code error = asked.found->error;
    if (error == net::resolver_errc::not_found || error == net::resolver_errc::no_data)
        time_to_live = asked.asked.wanted == question::kind::name_of_address ? 0 : options_.negative_ttl.count();
    else if (error)
        time_to_live = 0;
    time_to_live = std::min<long>(time_to_live, options_.longest_ttl.count());
    if (loop* here = loop::current(); here && time_to_live > 0) {
        try {
            cache_.put(asked.asked, asked.found,
                       now(*here) + std::chrono::nanoseconds{std::chrono::seconds{time_to_live}}.count());
        } catch (const std::bad_alloc&) { // then it is not kept
        }
    }
    while (!asked.waiting.empty()) {
        wait_record& record = asked.waiting.pop_front();
        record.owner->owner->wake(record, wake_reason::notified);
    }
    lookups_.erase(asked.asked);
}

lookup* resolver_state::find_open(const question& asked) noexcept {
    const auto known = lookups_.find(asked);
    return known != lookups_.end() ? known->second.get() : nullptr;
}

// One is kept, with what it knows of servers. The others have been there for many questions at once.
void resolver_state::idle(query_channel& channel) noexcept {
    const auto place =
        std::find_if(channels_.begin(), channels_.end(), [&](const auto& each) { return each.get() == &channel; });
    if (place == channels_.end())
        return;
    if (channel.is_closed())
        return static_cast<void>(channels_.erase(place));
    const auto is_kept = [](const auto& each) { return !each->is_retired(); };
    if (channel.is_retired() || std::count_if(channels_.begin(), channels_.end(), is_kept) > 1)
        channel.close(); // which comes here again
}

void resolver_state::come_home(loop& here) noexcept {
    const pid_t process = ::getpid();
    if (home_ == &here && process_ == process)
        return;
    if (home_ && !lookups_.empty())
        abandon();
    home_ = &here;
    process_ = process;
}

// In the child of a fork(), and after a loop that gave its fibers up, those who wait are not there any more, nor are those who
// drive the channels. What is on their stacks stays there, and keeps what it refers to.
void resolver_state::abandon() noexcept {
    for (const auto& [asked, open] : lookups_)
        open->through->forget();
    lookups_.clear();
    for (const auto& each : channels_)
        each->forget();
    channels_.clear();
}

void resolver_state::look_at_files(loop_time now) {
    if (now < next_look_at_files_)
        return;
    next_look_at_files_ = now + between_looks_at_files;
    if (file_stamp now_there = hosts_stamp_; now_there.has_changed(options_.hosts_file.c_str())) {
        std::ifstream text{options_.hosts_file};
        hosts_ = hosts_file{text};
        hosts_stamp_ = now_there;
    }
    if (!configuration_stamp_.has_changed(options_.configuration.c_str()))
        return;
    cache_.clear();
    for (std::size_t i = channels_.size(); i > 0; --i) // those that close are taken out
        channels_[i - 1]->retire();
}

} // namespace coir::detail
