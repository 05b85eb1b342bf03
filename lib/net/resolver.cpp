#include <coir/resolver.hpp>

#include "base/made_once.hpp"
#include "io/errors.hpp"
#include "net/resolver_state.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <netinet/in.h>
#include <pthread.h>
#include <string>
#include <sys/socket.h>
#include <utility>

namespace coir {
namespace detail {
namespace {

// How a blocking call ended that also fails for other reasons than an errno.
std::error_code code_of(wake_reason reason) noexcept {
    return std::make_error_code(reason == wake_reason::cancelled ? std::errc::operation_canceled
                                                                 : std::errc::timed_out);
}

bool is_possible(std::string_view name) noexcept {
    constexpr std::size_t longest_name = 253;
    constexpr std::size_t longest_part = 63;
    if (name.ends_with('.'))
        name.remove_suffix(1);
    if (name.empty() || name.size() > longest_name || name.find('\0') != std::string_view::npos)
        return false;
    for (std::size_t start = 0; start <= name.size();) {
        const std::size_t end = std::min(name.find('.', start), name.size());
        if (end == start || end - start > longest_part)
            return false;
        start = end + 1;
    }
    return true;
}

net::endpoint at_port(const net::endpoint& address, std::uint16_t port) {
    sockaddr_in6 native{}; // the port is at the same place in both
    static_assert(offsetof(sockaddr_in6, sin6_port) == offsetof(sockaddr_in, sin_port));
    std::memcpy(&native, address.native(), address.native_size());
    native.sin6_port = htons(port);
    return net::endpoint::from_native(&native, address.native_size());
}

} // namespace

resolver_state& resolver_access::state(net::resolver& of) noexcept {
    return *of.state_;
}

bool is_numeric(std::string_view name, net::endpoint& address) noexcept {
    if (name.empty())
        return false;
    std::error_code error;
    address = net::endpoint{name, 0, error};
    if (!error)
        return true;
    std::array<char, INET_ADDRSTRLEN * 4> text{};
    if (name.size() >= text.size() || name.find_first_not_of("0123456789abcdefABCDEFxX.") != std::string_view::npos)
        return false;
    std::copy(name.begin(), name.end(), text.begin());
    sockaddr_in native{};
    native.sin_family = AF_INET;
    if (::inet_aton(text.data(), &native.sin_addr) == 0)
        return false;
    address = net::endpoint::from_native(&native, sizeof native);
    return true;
}

question question_for(std::string_view name, net::address_family family, std::error_code& error) {
    error = is_possible(name) ? std::error_code{} : net::resolver_errc::bad_name;
    const auto wanted = family == net::address_family::any  ? question::kind::addresses
                        : family == net::address_family::v4 ? question::kind::v4_addresses
                                                            : question::kind::v6_addresses;
    return {wanted, in_small_letters(name)};
}

std::vector<net::endpoint> with_port(const std::vector<net::endpoint>& addresses, std::uint16_t port) {
    std::vector<net::endpoint> made;
    made.reserve(addresses.size());
    for (const net::endpoint& each : addresses)
        made.push_back(at_port(each, port));
    return made;
}

namespace {

std::vector<net::endpoint> resolve(loop& here, resolver_state& state, std::string_view name, net::service service,
                                   net::resolve_options options, deadline until, std::error_code& error) {
    const std::uint16_t port = state.port_of(here, service, error);
    if (error)
        return {};
    const question asked = question_for(name, options.family, error);
    if (net::endpoint numeric; is_numeric(name, numeric)) {
        error = is_wanted(numeric, asked.wanted) ? std::error_code{} : net::resolver_errc::no_data;
        return error ? std::vector<net::endpoint>{} : std::vector{at_port(numeric, port)};
    }
    if (error)
        return {};
    const resolver_state::result result = state.look_up(here, asked, until);
    error = result.found ? result.found->error : code_of(result.reason);
    return error ? std::vector<net::endpoint>{} : with_port(result.found->addresses, port);
}

std::string name_of(loop& here, resolver_state& state, const net::endpoint& address, deadline until,
                    std::error_code& error) {
    const resolver_state::result result = state.look_up_name(here, address, until);
    error = result.found ? result.found->error : code_of(result.reason);
    return error ? std::string{} : result.found->name;
}

// The two forms of every call: throwing, and with an error code. `call(loop, error)` does it; `subject()` is for people.

template <class Call, class Subject> auto throwing(const char* operation, Call call, Subject subject) {
    loop& here = loop::of_running_fiber(operation);
    std::error_code error;
    if (here.refuses())
        throw_cancelled(here.running(), operation);
    auto found = call(here, error);
    if (error == std::errc::operation_canceled && cancellation_due(here.running()))
        throw_cancelled(here.running(), operation);
    if (error)
        throw std::system_error(error, "look up " + subject());
    return found;
}

template <class Call> auto reporting(std::error_code& error, Call call) noexcept {
    decltype(call(std::declval<loop&>(), error)) found;
    loop* const here = loop::current_with_running_fiber();
    if (!here) {
        error = error_code_of(EPERM);
        return found;
    }
    if (here->refuses()) {
        error = error_code_of(was_cancelled);
        return found;
    }
    if (const std::error_code thrown = error_thrown_by([&] { found = call(*here, error); }))
        error = thrown;
    return found;
}

// The thread's own resolver may have to be made first.
template <class Call> auto with_common(std::error_code& error, Call call) noexcept {
    try {
        return call(net::resolver::common());
    } catch (const std::bad_alloc&) {
        error = error_code_of(ENOMEM);
        return decltype(call(net::resolver::common())){};
    }
}

} // namespace
} // namespace detail

namespace net {

resolver::resolver(resolver_options options) : state_(std::make_unique<detail::resolver_state>(std::move(options))) {}
resolver::~resolver() = default;

namespace {

constinit thread_local resolver* of_thread = nullptr;

// Destroys the resolver of a thread that ends, when its thread_local objects, which may use it, have gone; and not when a fiber
// calls exit(): others may wait in it, and go on while static objects are destroyed (hazard G9).
class end_of_thread {
public:
    end_of_thread() noexcept
        : has_key_(::pthread_key_create(&key_, [](void*) { delete std::exchange(of_thread, nullptr); }) == 0) {}
    ~end_of_thread() {
        if (has_key_)
            ::pthread_key_delete(key_);
    }
    end_of_thread(const end_of_thread&) = delete;
    end_of_thread& operator=(const end_of_thread&) = delete;

    void await() const noexcept {
        if (has_key_) // else the thread leaves its resolver behind
            ::pthread_setspecific(key_, of_thread);
    }

private:
    pthread_key_t key_{};
    bool has_key_;
};

} // namespace

resolver& resolver::common() {
    if (!of_thread) {
        of_thread = new resolver;
        detail::made_once<[] { return std::make_unique<end_of_thread>(); }>().await();
    }
    return *of_thread;
}

std::vector<endpoint> resolver::resolve(std::string_view name, service port, resolve_options options, deadline until) {
    return detail::throwing(
        "net::resolve",
        [&](detail::loop& here, std::error_code& error) {
            return detail::resolve(here, *state_, name, port, options, until, error);
        },
        [&] { return std::string{name}; });
}

std::vector<endpoint> resolver::resolve(std::string_view name, service port, std::error_code& error,
                                        resolve_options options, deadline until) noexcept {
    return detail::reporting(error, [&](detail::loop& here, std::error_code& failure) {
        return detail::resolve(here, *state_, name, port, options, until, failure);
    });
}

std::string resolver::name_of(const endpoint& address, deadline until) {
    return detail::throwing(
        "net::name_of",
        [&](detail::loop& here, std::error_code& error) {
            return detail::name_of(here, *state_, address, until, error);
        },
        [&] { return "the name of " + address.address(); });
}

std::string resolver::name_of(const endpoint& address, std::error_code& error, deadline until) noexcept {
    return detail::reporting(error, [&](detail::loop& here, std::error_code& failure) {
        return detail::name_of(here, *state_, address, until, failure);
    });
}

void resolver::flush() noexcept {
    state_->flush();
}

std::size_t resolver::open_queries() const noexcept {
    return state_->open_queries();
}

std::vector<endpoint> resolve(std::string_view name, service port, resolve_options options, deadline until) {
    return resolver::common().resolve(name, port, options, until);
}

std::vector<endpoint> resolve(std::string_view name, service port, std::error_code& error, resolve_options options,
                              deadline until) noexcept {
    return detail::with_common(error,
                               [&](resolver& common) { return common.resolve(name, port, error, options, until); });
}

std::string name_of(const endpoint& address, deadline until) {
    return resolver::common().name_of(address, until);
}

std::string name_of(const endpoint& address, std::error_code& error, deadline until) noexcept {
    return detail::with_common(error, [&](resolver& common) { return common.name_of(address, error, until); });
}

} // namespace net
} // namespace coir
