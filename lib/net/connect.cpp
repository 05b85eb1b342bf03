#include <coir/connect.hpp>

#include "io/errors.hpp"
#include "net/connection_race.hpp"
#include "sched/cancellation.hpp"

#include <cerrno>
#include <new>
#include <utility>

namespace coir {
namespace detail {
namespace {

constexpr const char* operation = "net::connect";

// `prepare(race)` gives it its candidates.
template <class Prepare>
std::error_code connect(loop& here, const net::host_connect_options& options, deadline until, net::tcp_stream& stream,
                        std::string* explanation, Prepare prepare) {
    connection_race race{here, options};
    std::error_code error = prepare(race);
    if (!error)
        error = race.run(until);
    if (error && explanation)
        *explanation = race.explain();
    stream = std::move(race.winner);
    return error;
}

// The two forms of every call: throwing, and with an error code.

template <class Prepare, class Subject>
net::tcp_stream connect(const net::host_connect_options& options, deadline until, Prepare prepare, Subject subject) {
    loop& here = loop::of_running_fiber(operation);
    if (here.refuses())
        throw_cancelled(here.running(), operation);
    net::tcp_stream stream;
    std::string explanation;
    const std::error_code error = connect(here, options, until, stream, &explanation, prepare);
    if (error == std::errc::operation_canceled && cancellation_due(here.running()))
        throw_cancelled(here.running(), operation);
    if (error)
        throw std::system_error(error, "connect to " + subject() + explanation);
    return stream;
}

template <class Prepare>
net::tcp_stream connect(std::error_code& error, const net::host_connect_options& options, deadline until,
                        Prepare prepare) noexcept {
    net::tcp_stream stream;
    loop* const here = loop::current_with_running_fiber();
    if (!here || here->refuses()) {
        error = error_code_of(here ? was_cancelled : EPERM);
        return stream;
    }
    if (const std::error_code thrown =
            error_thrown_by([&] { error = connect(*here, options, until, stream, nullptr, prepare); }))
        error = thrown;
    return stream;
}

std::error_code prepare_host(connection_race& race, std::string_view host, net::service service,
                             const net::host_connect_options& options) {
    std::error_code error;
    resolver_state& names = resolver_access::state(options.names ? *options.names : net::resolver::common());
    const std::uint16_t port = names.port_of(race.where(), service, error);
    if (error)
        return error;
    const question asked = question_for(host, options.family, error);
    if (net::endpoint numeric; is_numeric(host, numeric)) {
        if (!is_wanted(numeric, asked.wanted))
            return net::resolver_errc::no_data;
        race.add(with_port({numeric}, port));
        return {};
    }
    if (!error)
        race.look_up(names, asked, port);
    return error;
}

std::string describe_target(std::string_view host, net::service port) {
    return std::string{host} + ", port " + (port.is_named() ? std::string{port.name()} : std::to_string(port.port()));
}

} // namespace
} // namespace detail

namespace net {

tcp_stream connect(std::string_view host, service port, const host_connect_options& options, deadline until) {
    return detail::connect(
        options, until, [&](detail::connection_race& race) { return detail::prepare_host(race, host, port, options); },
        [&] { return detail::describe_target(host, port); });
}

tcp_stream connect(std::string_view host, service port, std::error_code& error, const host_connect_options& options,
                   deadline until) noexcept {
    return detail::connect(error, options, until, [&](detail::connection_race& race) {
        return detail::prepare_host(race, host, port, options);
    });
}

namespace {

std::error_code prepare(detail::connection_race& race, std::span<const endpoint> candidates) {
    race.add(candidates);
    return {};
}

} // namespace

tcp_stream connect(std::span<const endpoint> candidates, const host_connect_options& options, deadline until) {
    return detail::connect(
        options, until, [&](detail::connection_race& race) { return prepare(race, candidates); },
        [] { return std::string{"one of several addresses"}; });
}

tcp_stream connect(std::span<const endpoint> candidates, std::error_code& error, const host_connect_options& options,
                   deadline until) noexcept {
    return detail::connect(error, options, until,
                           [&](detail::connection_race& race) { return prepare(race, candidates); });
}

} // namespace net
} // namespace coir
