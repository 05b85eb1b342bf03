#include "net/tcp_options.hpp"

#include "io/errors.hpp"
#include "net/ip_options.hpp"
#include "net/socket_option.hpp"

#include <coir/tcp_stream.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <limits>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <utility>

namespace coir {
namespace detail {
namespace {

// As the kernel's ints, which it checks: what is too much for one is too much for it.
int as_int(std::int64_t value) noexcept {
    return static_cast<int>(std::clamp<std::int64_t>(value, -1, std::numeric_limits<int>::max()));
}

int set_no_delay(int socket, bool on) noexcept {
    return set_option(socket, IPPROTO_TCP, TCP_NODELAY, int{on});
}

int set_keep_alive(int socket, const std::optional<net::tcp_keep_alive>& probing) noexcept {
    if (probing) {
        // First the times: an error leaves it as it was.
        for (const auto& [name, value] :
             {std::pair{TCP_KEEPIDLE, as_int(probing->idle.count())},
              std::pair{TCP_KEEPINTVL, as_int(probing->interval.count())}, std::pair{TCP_KEEPCNT, probing->probes}})
            if (const int error = set_option(socket, IPPROTO_TCP, name, value))
                return error;
    }
    return set_option(socket, SOL_SOCKET, SO_KEEPALIVE, int{probing.has_value()});
}

int set_linger(int socket, const std::optional<std::chrono::seconds>& time) noexcept {
    if (time && time->count() < 0)
        return EINVAL; // the kernel would take it for a very long time
    return set_option(socket, SOL_SOCKET, SO_LINGER, ::linger{time.has_value(), time ? as_int(time->count()) : 0});
}

int set_user_timeout(int socket, std::chrono::milliseconds time) noexcept {
    return set_option(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, as_int(time.count()));
}

int set_not_sent_low_water(int socket, std::size_t bytes) noexcept {
    return set_option(socket, IPPROTO_TCP, TCP_NOTSENT_LOWAT,
                      static_cast<unsigned>(std::min<std::size_t>(bytes, std::numeric_limits<unsigned>::max())));
}

constexpr std::size_t longest_congestion_control = 15; // the kernel's TCP_CA_NAME_MAX, with the zero

int set_congestion_control(int socket, const std::string& name) noexcept {
    return set_text_option(socket, IPPROTO_TCP, TCP_CONGESTION, name, longest_congestion_control, ENOENT);
}

} // namespace

int set_tcp_options(int socket, const net::tcp_options& options) noexcept {
    const net::tcp_options defaults;
    int error = 0;
    if (options.no_delay)
        error = set_no_delay(socket, true);
    if (error == 0 && options.keep_alive)
        error = set_keep_alive(socket, options.keep_alive);
    if (error == 0 && options.linger)
        error = set_linger(socket, options.linger);
    if (error == 0 && options.user_timeout != defaults.user_timeout)
        error = set_user_timeout(socket, options.user_timeout);
    if (error == 0 && options.send_buffer != 0)
        error = set_buffer(socket, SO_SNDBUF, options.send_buffer);
    if (error == 0 && options.receive_buffer != 0)
        error = set_buffer(socket, SO_RCVBUF, options.receive_buffer);
    if (error == 0 && options.not_sent_low_water != 0)
        error = set_not_sent_low_water(socket, options.not_sent_low_water);
    if (error == 0 && !options.congestion_control.empty())
        error = set_congestion_control(socket, options.congestion_control);
    if (error == 0)
        error = set_ip_options(socket, options.ip);
    return error;
}

} // namespace detail

namespace net {
namespace {

using detail::error_code_of;
using detail::option_of;

// The throwing form of a setter, from the other one.
template <class Value>
void set(tcp_stream& stream, void (tcp_stream::*setter)(Value, std::error_code&) noexcept, Value value,
         const char* operation) {
    std::error_code error;
    (stream.*setter)(value, error);
    if (error)
        detail::throw_on_socket(error, operation, stream.native_handle());
}

} // namespace

void tcp_stream::set_no_delay(bool on) {
    set(*this, &tcp_stream::set_no_delay, on, "net::tcp_stream::set_no_delay");
}

void tcp_stream::set_no_delay(bool on, std::error_code& error) noexcept {
    error = error_code_of(detail::set_no_delay(native_handle(), on));
}

bool tcp_stream::no_delay() const {
    return option_of<int>(native_handle(), IPPROTO_TCP, TCP_NODELAY, "net::tcp_stream::no_delay") != 0;
}

void tcp_stream::set_keep_alive(std::optional<tcp_keep_alive> probing) {
    set(*this, &tcp_stream::set_keep_alive, probing, "net::tcp_stream::set_keep_alive");
}

void tcp_stream::set_keep_alive(std::optional<tcp_keep_alive> probing, std::error_code& error) noexcept {
    error = error_code_of(detail::set_keep_alive(native_handle(), probing));
}

std::optional<tcp_keep_alive> tcp_stream::keep_alive() const {
    constexpr auto operation = "net::tcp_stream::keep_alive";
    if (option_of<int>(native_handle(), SOL_SOCKET, SO_KEEPALIVE, operation) == 0)
        return std::nullopt;
    using std::chrono::seconds;
    return tcp_keep_alive{seconds{option_of<int>(native_handle(), IPPROTO_TCP, TCP_KEEPIDLE, operation)},
                          seconds{option_of<int>(native_handle(), IPPROTO_TCP, TCP_KEEPINTVL, operation)},
                          option_of<int>(native_handle(), IPPROTO_TCP, TCP_KEEPCNT, operation)};
}

void tcp_stream::set_linger(std::optional<std::chrono::seconds> time) {
    set(*this, &tcp_stream::set_linger, time, "net::tcp_stream::set_linger");
}

void tcp_stream::set_linger(std::optional<std::chrono::seconds> time, std::error_code& error) noexcept {
    error = error_code_of(detail::set_linger(native_handle(), time));
}

std::optional<std::chrono::seconds> tcp_stream::linger() const {
    const auto set = option_of<::linger>(native_handle(), SOL_SOCKET, SO_LINGER, "net::tcp_stream::linger");
    return set.l_onoff ? std::optional{std::chrono::seconds{set.l_linger}} : std::nullopt;
}

void tcp_stream::set_user_timeout(std::chrono::milliseconds time) {
    set(*this, &tcp_stream::set_user_timeout, time, "net::tcp_stream::set_user_timeout");
}

void tcp_stream::set_user_timeout(std::chrono::milliseconds time, std::error_code& error) noexcept {
    error = error_code_of(detail::set_user_timeout(native_handle(), time));
}

std::chrono::milliseconds tcp_stream::user_timeout() const {
    return std::chrono::milliseconds{
        option_of<unsigned>(native_handle(), IPPROTO_TCP, TCP_USER_TIMEOUT, "net::tcp_stream::user_timeout")};
}

void tcp_stream::set_quick_ack(bool on) {
    set(*this, &tcp_stream::set_quick_ack, on, "net::tcp_stream::set_quick_ack");
}

void tcp_stream::set_quick_ack(bool on, std::error_code& error) noexcept {
    error = error_code_of(detail::set_option(native_handle(), IPPROTO_TCP, TCP_QUICKACK, int{on}));
}

void tcp_stream::set_send_buffer(std::size_t bytes) {
    set(*this, &tcp_stream::set_send_buffer, bytes, "net::tcp_stream::set_send_buffer");
}

void tcp_stream::set_send_buffer(std::size_t bytes, std::error_code& error) noexcept {
    error = error_code_of(detail::set_buffer(native_handle(), SO_SNDBUF, bytes));
}

std::size_t tcp_stream::send_buffer() const {
    return detail::buffer_of(native_handle(), SO_SNDBUF, "net::tcp_stream::send_buffer");
}

void tcp_stream::set_receive_buffer(std::size_t bytes) {
    set(*this, &tcp_stream::set_receive_buffer, bytes, "net::tcp_stream::set_receive_buffer");
}

void tcp_stream::set_receive_buffer(std::size_t bytes, std::error_code& error) noexcept {
    error = error_code_of(detail::set_buffer(native_handle(), SO_RCVBUF, bytes));
}

std::size_t tcp_stream::receive_buffer() const {
    return detail::buffer_of(native_handle(), SO_RCVBUF, "net::tcp_stream::receive_buffer");
}

void tcp_stream::set_not_sent_low_water(std::size_t bytes) {
    set(*this, &tcp_stream::set_not_sent_low_water, bytes, "net::tcp_stream::set_not_sent_low_water");
}

void tcp_stream::set_not_sent_low_water(std::size_t bytes, std::error_code& error) noexcept {
    error = error_code_of(detail::set_not_sent_low_water(native_handle(), bytes));
}

std::size_t tcp_stream::not_sent_low_water() const {
    return option_of<unsigned>(native_handle(), IPPROTO_TCP, TCP_NOTSENT_LOWAT, "net::tcp_stream::not_sent_low_water");
}

void tcp_stream::set_congestion_control(const std::string& name) {
    set<const std::string&>(*this, &tcp_stream::set_congestion_control, name,
                            "net::tcp_stream::set_congestion_control");
}

void tcp_stream::set_congestion_control(const std::string& name, std::error_code& error) noexcept {
    error = error_code_of(detail::set_congestion_control(native_handle(), name));
}

std::string tcp_stream::congestion_control() const {
    using name = std::array<char, detail::longest_congestion_control + 1>;
    return option_of<name>(native_handle(), IPPROTO_TCP, TCP_CONGESTION, "net::tcp_stream::congestion_control").data();
}

void tcp_stream::set_traffic_class(int value) {
    set(*this, &tcp_stream::set_traffic_class, value, "net::tcp_stream::set_traffic_class");
}

void tcp_stream::set_traffic_class(int value, std::error_code& error) noexcept {
    error = error_code_of(detail::set_pair(native_handle(), detail::traffic_class_option, value));
}

int tcp_stream::traffic_class() const {
    return detail::pair_of(native_handle(), detail::traffic_class_option, "net::tcp_stream::traffic_class");
}

void tcp_stream::set_priority(int value) {
    set(*this, &tcp_stream::set_priority, value, "net::tcp_stream::set_priority");
}

void tcp_stream::set_priority(int value, std::error_code& error) noexcept {
    error = error_code_of(detail::set_option(native_handle(), SOL_SOCKET, SO_PRIORITY, value));
}

int tcp_stream::priority() const {
    return option_of<int>(native_handle(), SOL_SOCKET, SO_PRIORITY, "net::tcp_stream::priority");
}

void tcp_stream::set_cork(bool on) {
    set(*this, &tcp_stream::set_cork, on, "net::tcp_stream::set_cork");
}

void tcp_stream::set_cork(bool on, std::error_code& error) noexcept {
    error = error_code_of(detail::set_option(native_handle(), IPPROTO_TCP, TCP_CORK, int{on}));
}

bool tcp_stream::cork() const {
    return option_of<int>(native_handle(), IPPROTO_TCP, TCP_CORK, "net::tcp_stream::cork") != 0;
}

} // namespace net
} // namespace coir
