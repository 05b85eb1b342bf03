#include "net/query_channel.hpp"

#include "base/remembered.hpp"
#include "io/ownership.hpp"
#include "net/address_order.hpp"
#include "net/resolver_state.hpp"
#include "sched/cancellation.hpp"

#include <coir/detail/scope_state.hpp>
#include <coir/fiber.hpp>
#include <coir/io.hpp>

#include <algorithm>
#include <ares.h>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <limits>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <new>
#include <poll.h>
#include <span>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>
#include <utility>

/// \file
/// c-ares, driven by a fiber.
///
/// c-ares sends packets, reads them and counts the time whenever it is called, and never waits; to know when to call it is the
/// user's business. Who could do that here? The fibers that wait for answers, one of them for all, handing that on when it
/// leaves: then each has to be woken as the next in charge, its cancellation is everybody's business, and what they wait for
/// changes with every socket. Or a fiber of the channel's own, drive(), which exists from the first open question to the last: two
/// switches more, beside a network's round trip. That is what is done here. It is not cancelled when the loop winds down: those who
/// wait are, and when the last of them has left or has its answer, the channel is closed and drive() ends. So it never outlives
/// its users by more than its turn, and never keeps coir::run() from returning.
///
/// c-ares opens and closes sockets as it likes: several servers, UDP, and TCP for long answers. They are in an epoll of
/// the channel's own, and drive() waits for that one descriptor, as anybody waits for one. The loop itself never watches them: so
/// it cannot be surprised by one that c-ares closes (hazards E1, E2), and their number costs nothing. They are taken out of the
/// epoll before they are closed, or a duplicate in a child process would keep them there (hazard E3).
///
/// The callbacks only put the answer where it belongs and wake who waits for it.
///
/// What is peculiar to c-ares 1.18 (Debian 12):
///  - It cannot give up a single question: see resolver_state.hpp.
///  - Answers that say SERVFAIL or REFUSED make it ask the next server, and when there is none it reports ARES_ECONNREFUSED, as if
///    no server could be reached. So they are noted where packets pass through.
///  - It gives a search list up at a domain whose servers say SERVFAIL, where getaddrinfo() goes on with the next: see goes_on().
///  - ares_timeout() and the searches for free ids go through lists of all that is open. With a limit for each channel, which
///    the socket's buffer asks for anyway, they are short: 10,000 questions at once are 50 channels.
namespace coir::detail {

// What c-ares calls in the place of system calls. `channel` is the query_channel. They do as it expects of the originals.
struct query_channel::sockets {
    static query_channel& of(void* channel) noexcept { return *static_cast<query_channel*>(channel); }

    static ares_socket_t open(int family, int type, int protocol, void* channel) noexcept {
        query_channel& self = of(channel);
        const int number = ::socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
        if (number == -1) {
            self.socket_error_ = {errno, std::generic_category()};
            return ARES_SOCKET_BAD;
        }
        self.socket_error_.clear();
        const int size = 1 << 20; // the system takes what it allows
        const int on = 1;
        if (type == SOCK_DGRAM) {
            ::setsockopt(number, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
            ::setsockopt(number, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
        } else {
            ::setsockopt(number, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        }
        epoll_event wanted{EPOLLIN, {.fd = number}};
        if (::epoll_ctl(self.ready_.get(), EPOLL_CTL_ADD, number, &wanted) == -1 || !self.remember(number)) {
            self.socket_error_ = {errno, std::generic_category()};
            close_descriptor(number);
            return ARES_SOCKET_BAD;
        }
        return number;
    }

    static int close(ares_socket_t number, void* channel) noexcept {
        query_channel& self = of(channel);
        epoll_event ignored{};
        ::epoll_ctl(self.ready_.get(), EPOLL_CTL_DEL, number, &ignored);
        std::erase(self.sockets_, number);
        return close_descriptor(number) == 0 ? 0 : -1;
    }

    static int connect(ares_socket_t number, const sockaddr* remote, ares_socklen_t size, void*) noexcept {
        const int result = ::connect(number, remote, size);
        if (result == -1 && errno == EINTR) // it goes on
            errno = EINPROGRESS;
        return result;
    }

    static ares_ssize_t receive(ares_socket_t number, void* buffer, std::size_t size, int flags, sockaddr* from,
                                ares_socklen_t* from_size, void* channel) noexcept {
        for (;;) {
            const ssize_t received = ::recvfrom(number, buffer, size, flags, from, from_size);
            if (received == -1 && errno == EINTR)
                continue;
            if (received > 0 && from) // a packet; what comes over TCP comes in pieces
                of(channel).note_refusal(static_cast<const unsigned char*>(buffer), static_cast<std::size_t>(received));
            return received;
        }
    }

    static ares_ssize_t send(ares_socket_t number, const iovec* pieces, int count, void*) noexcept {
        msghdr message{};
        message.msg_iov = const_cast<iovec*>(pieces);
        message.msg_iovlen = static_cast<std::size_t>(count);
        for (;;) {
            const ssize_t sent = ::sendmsg(number, &message, MSG_NOSIGNAL);
            if (sent != -1 || (errno != EINTR && errno != EAGAIN))
                return sent;
            if (errno == EAGAIN) {
                if (is_stream(number))
                    return sent;
                if (!has_room_soon(number))
                    return size_of(message);
            }
        }
    }

    // c-ares would take a packet for which there is no room for a server that fails. So the thread waits for the network a little,
    // since nobody may be suspended inside of c-ares; then it is a packet that was lost on the way, and is sent again in time.
    static bool has_room_soon(int number) noexcept {
        constexpr int milliseconds = 1;
        pollfd room{number, POLLOUT, 0};
        return ::poll(&room, 1, milliseconds) != 0;
    }

    static ssize_t size_of(const msghdr& packet) noexcept {
        std::size_t sum = 0;
        for (const iovec& piece : std::span{packet.msg_iov, packet.msg_iovlen})
            sum += piece.iov_len;
        return static_cast<ssize_t>(sum);
    }

    static bool is_stream(int number) noexcept {
        int type = 0;
        socklen_t size = sizeof type;
        const int result = ::getsockopt(number, SOL_SOCKET, SO_TYPE, &type, &size);
        errno = EAGAIN; // for c-ares
        return result == -1 || type == SOCK_STREAM;
    }

    static void state_changed(void* channel, ares_socket_t number, int readable, int writable) noexcept {
        if (!readable && !writable)
            return; // about to be closed
        epoll_event wanted{(readable ? EPOLLIN : 0U) | (writable ? EPOLLOUT : 0U), {.fd = number}};
        ::epoll_ctl(of(channel).ready_.get(), EPOLL_CTL_MOD, number, &wanted);
    }

    static constexpr ares_socket_functions functions{open, close, connect, receive, send};
};

namespace {

class option_error : public std::system_error {
public:
    explicit option_error(int status)
        : std::system_error(
              std::make_error_code(status == ARES_ENOMEM ? std::errc::not_enough_memory : std::errc::io_error),
              std::string{"net::resolver: "} + ares_strerror(status)) {}
};

// The linked list that c-ares wants.
std::vector<ares_addr_port_node> servers_of(const net::resolver_options& options) {
    std::vector<ares_addr_port_node> made(options.servers.size());
    for (std::size_t i = 0; i < made.size(); ++i) {
        const net::endpoint& server = options.servers[i];
        made[i].next = i + 1 < made.size() ? &made[i + 1] : nullptr;
        made[i].family = server.is_v4() ? AF_INET : AF_INET6;
        made[i].udp_port = made[i].tcp_port = server.port();
        if (server.is_v4())
            made[i].addr.addr4 = static_cast<const sockaddr_in*>(server.native())->sin_addr;
        else
            std::memcpy(&made[i].addr.addr6, &static_cast<const sockaddr_in6*>(server.native())->sin6_addr, 16);
    }
    return made;
}

// It counts how often.
int initialise_library() noexcept {
    return ares_library_init(ARES_LIB_INIT_ALL);
}

ares_channel make_channel(const net::resolver_options& options, ares_sock_state_cb state_changed, void* user) {
    if (const int initialised = remembered<initialise_library>(); initialised != ARES_SUCCESS)
        throw option_error(initialised);
    std::string configuration = options.configuration;
    std::string lookups = "b"; // only servers: the hosts file is ours
    std::vector<std::string> domains = options.search.value_or(std::vector<std::string>{});
    std::vector<char*> domain_pointers;
    domain_pointers.reserve(domains.size());
    for (std::string& each : domains)
        domain_pointers.push_back(each.data());
    ares_options given{};
    given.resolvconf_path = configuration.data();
    given.lookups = lookups.data();
    given.sock_state_cb_data = user;
    given.timeout = static_cast<int>(std::min<std::int64_t>(options.timeout.count(), 1'000'000'000));
    given.tries = options.tries;
    given.ndots = options.dots.value_or(0);
    given.domains = domain_pointers.data();
    given.ndomains = static_cast<int>(domains.size());
    given.sock_state_cb = state_changed;
    int mask = ARES_OPT_RESOLVCONF | ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB;
    mask |= options.timeout.count() > 0 ? ARES_OPT_TIMEOUTMS : 0;
    mask |= options.tries > 0 ? ARES_OPT_TRIES : 0;
    mask |= options.dots ? ARES_OPT_NDOTS : 0;
    mask |= options.search ? ARES_OPT_DOMAINS : 0;
    ares_channel made = nullptr;
    if (const int status = ares_init_options(&made, &given, mask); status != ARES_SUCCESS)
        throw option_error(status);
    return made;
}

// "a.b.c" becomes "a.b", and "a" nothing.
void cut_last_part(std::string& name) {
    const std::size_t dot = name.rfind('.');
    name.erase(dot == std::string::npos ? 0 : dot);
}

// With one dot at its end, which keeps the search list out.
std::string complete(std::string name) {
    while (name.ends_with('.'))
        name.pop_back();
    return name + '.';
}

// Another name of the search list may be there.
bool is_absent(int status) noexcept {
    return status == ARES_ENOTFOUND || status == ARES_ENODATA || status == ARES_EBADNAME;
}

// Between two looks at the clock of c-ares. Its first time-out of a new question is at least half of what is set, and a
// question that is put while drive() waits does not wake it.
std::chrono::milliseconds longest_wait_of(const net::resolver_options& options) {
    using namespace std::chrono_literals;
    return options.timeout > 0ms ? std::clamp<std::chrono::milliseconds>(options.timeout / 2, 1ms, 1s) : 500ms;
}

} // namespace

query_channel::query_channel(resolver_state& owner, const net::resolver_options& options)
    : owner_(owner), longest_wait_(longest_wait_of(options)),
      without_memory_(std::make_shared<const answer>(answer{std::make_error_code(std::errc::not_enough_memory)})) {
    std::vector<ares_addr_port_node> servers = servers_of(options);
    channel_ = make_channel(options, sockets::state_changed, this);
    ares_set_socket_functions(channel_, &sockets::functions, this);
    if (servers.empty())
        return;
    if (const int status = ares_set_servers_ports(channel_, servers.data()); status != ARES_SUCCESS) {
        ares_destroy(std::exchange(channel_, nullptr));
        throw option_error(status);
    }
}

query_channel::~query_channel() {
    if (!is_closed())
        ares_destroy(channel_);
}

bool query_channel::remember(int number) noexcept {
    try {
        sockets_.push_back(number);
        return true;
    } catch (const std::bad_alloc&) {
        errno = ENOMEM;
        return false;
    }
}

void query_channel::ask(lookup& asked, loop_time now) {
    begin();
    asked.through = shared_from_this();
    if (open_++ == 0) { // c-ares has closed its sockets
        from_this_port_ = 0;
        port_since_ = now;
    }
    ++from_this_port_;
    if (asked.asked.wanted ==
        question::kind::name_of_address) { // ares_gethostbyaddr() calls every failure ARES_ENOTFOUND
        constexpr int internet = 1;
        constexpr int pointer = 12;
        return ares_query(channel_, asked.asked.name.c_str(), internet, pointer, on_name, &asked);
    }
    query(asked, asked.asked.name.c_str());
}

void query_channel::query(lookup& asked, const char* name) noexcept {
    ares_addrinfo_hints hints{};
    hints.ai_flags = ARES_AI_NOSORT;
    hints.ai_family = asked.asked.wanted == question::kind::addresses      ? AF_UNSPEC
                      : asked.asked.wanted == question::kind::v4_addresses ? AF_INET
                                                                           : AF_INET6;
    hints.ai_socktype = SOCK_STREAM;
    ares_getaddrinfo(channel_, name, nullptr, &hints, on_addresses, &asked);
}

// Whether another name of the search list is asked for instead of the one that has ended with `status`. If so, `asked` may have been
// answered, and be gone.
bool query_channel::goes_on(lookup& asked, int status) {
    const bool servers_fail = (status == ARES_ECONNREFUSED || status == ARES_ETIMEOUT) && !asked.failing.empty();
    if (is_closed() || !(servers_fail || (asked.goes_on && is_absent(status))))
        return false;
    if (!asked.goes_on)
        asked.untried = search_list_behind(asked.asked.name, asked.failing);
    if (asked.untried.empty())
        return false;
    asked.goes_on = true;
    asked.failing.clear();
    const std::string next = std::move(asked.untried.back());
    asked.untried.pop_back();
    query(asked, next.c_str());
    return true;
}

// What is left of the names that c-ares tries for `name`, the next one last; nothing for a name that it does not search for, or
// has from HOSTALIASES.
std::vector<std::string> query_channel::search_list_behind(const std::string& name, const std::string& failing) const {
    ares_options known{};
    int mask = 0;
    const std::unique_ptr<ares_options, decltype(&ares_destroy_options)> owner{&known, ares_destroy_options};
    if (name.ends_with('.') || ares_save_options(channel_, &known, &mask) != ARES_SUCCESS)
        return {};
    std::vector<std::string> all;
    for (char* const domain : std::span{known.domains, static_cast<std::size_t>(std::max(known.ndomains, 0))})
        all.push_back(complete(name + '.' + in_small_letters(domain)));
    const bool comes_first = std::count(name.begin(), name.end(), '.') >= known.ndots;
    all.insert(comes_first ? all.begin() : all.end(), complete(name));
    const auto place = std::find(all.begin(), all.end(), complete(failing));
    if (place == all.end())
        return {};
    return {all.rbegin(), std::make_reverse_iterator(place + 1)};
}

// The function of the fiber that drives a channel. If there is no stack to begin on, which spawn() cannot always know, it is
// destroyed without having been called: then those who wait are told.
class query_channel::driver {
public:
    explicit driver(std::shared_ptr<query_channel> which) noexcept : channel_(std::move(which)) {}
    driver(driver&&) noexcept = default;
    driver(const driver&) = delete;
    driver& operator=(const driver&) = delete;
    ~driver() {
        if (channel_ && std::exchange(channel_->is_driven_, false)) // else spawn() has thrown
            channel_->fail(std::make_error_code(std::errc::not_enough_memory));
    }
    void operator()() noexcept { std::exchange(channel_, nullptr)->drive(); }

private:
    std::shared_ptr<query_channel> channel_;
};

// What there is only while questions are open.
void query_channel::begin() {
    if (is_driven_)
        return;
    if (!ready_) {
        const int made = ::epoll_create1(EPOLL_CLOEXEC);
        if (made == -1)
            throw std::system_error(errno, std::generic_category(), "net::resolver: epoll");
        try {
            ready_ = io::descriptor{made};
        } catch (...) {
            ::close(made);
            throw;
        }
    }
    spawn(fiber_options{.name = "resolver"}, driver{shared_from_this()}).detach();
    is_driven_ = true;
}

void query_channel::drive() noexcept {
    const cancellation_pause in_peace;
    while (open_ > 0) {
        timeval most{};
        most.tv_sec = longest_wait_.count() / 1000;
        most.tv_usec = longest_wait_.count() % 1000 * 1000;
        timeval next{};
        const timeval* wait = ares_timeout(channel_, &most, &next);
        std::error_code error;
        io::wait_readable(ready_.get(), error,
                          std::chrono::seconds{wait->tv_sec} + std::chrono::microseconds{wait->tv_usec});
        if (is_closed())
            break;
        if (error && error != std::errc::timed_out)
            fail(error);
        else
            look_at_sockets();
        close_if_unwanted(); // the last that somebody waited for may have been answered, which closes nothing
    }
    is_driven_ = false;
    if (is_closed())
        return;
    std::error_code ignored;
    ready_.close(ignored);
    owner_.idle(*this);
}

void query_channel::look_at_sockets() noexcept {
    std::array<epoll_event, 16> events; // the others report themselves again
    const int count = ::epoll_wait(ready_.get(), events.data(), static_cast<int>(events.size()), 0);
    for (int i = 0; i < count; ++i) {
        // One that has been closed since, for what another said, is not known to c-ares any more, or it is a new one: those
        // are not blocking.
        const epoll_event& event = events[static_cast<std::size_t>(i)];
        ares_process_fd(channel_, event.events & ~EPOLLOUT ? event.data.fd : ARES_SOCKET_BAD,
                        event.events & EPOLLOUT ? event.data.fd : ARES_SOCKET_BAD);
    }
    if (count <= 0) // the clock
        ares_process_fd(channel_, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

void query_channel::fail(std::error_code error) noexcept {
    closing_ = error;
    close();
}

void query_channel::close() noexcept {
    if (is_closed())
        return;
    const std::shared_ptr<query_channel> self =
        weak_from_this().lock();                    // a lookup may have the last reference but this
    ares_destroy(std::exchange(channel_, nullptr)); // calls back for all that is open
    std::error_code ignored;
    ready_.close(ignored); // drive() wakes up
    owner_.idle(*this);
}

void query_channel::forget() noexcept {
    channel_ = nullptr; // not freed: it would call back
    for (const int number : sockets_)
        ::close(number);
    sockets_.clear(); // it may be told several times
    if (ready_)
        ::close(ready_.release());
}

void query_channel::on_addresses(void* pointer, int status, int, ares_addrinfo* found) noexcept {
    lookup& asked = *static_cast<lookup*>(pointer);
    const std::unique_ptr<ares_addrinfo, decltype(&ares_freeaddrinfo)> owner{found, ares_freeaddrinfo};
    query_channel& self = *asked.through;
    long time_to_live = std::numeric_limits<long>::max();
    std::shared_ptr<answer> made;
    try {
        if (self.goes_on(asked, status))
            return;
        made = std::make_shared<answer>();
        if (status != ARES_SUCCESS)
            made->error = self.error_of(asked, status);
        else if (found) {
            for (const ares_addrinfo_cname* each = found->cnames; each; each = each->next)
                time_to_live = std::min<long>(time_to_live, each->ttl);
            for (const ares_addrinfo_node* each = found->nodes; each; each = each->ai_next) {
                const net::endpoint address = net::endpoint::from_native(each->ai_addr, each->ai_addrlen);
                time_to_live = std::min<long>(time_to_live, each->ai_ttl);
                if (std::find(made->addresses.begin(), made->addresses.end(), address) == made->addresses.end())
                    made->addresses.push_back(address);
            }
            put_in_order(made->addresses);
        }
        if (!made->error && made->addresses.empty())
            made->error = net::resolver_errc::no_data;
    } catch (const std::exception&) { // no memory, that is
        made = nullptr;
    }
    self.finish(asked, std::move(made), time_to_live);
}

void query_channel::on_name(void* pointer, int status, int, unsigned char* packet, int size) noexcept {
    lookup& asked = *static_cast<lookup*>(pointer);
    query_channel& self = *asked.through;
    hostent* found = nullptr;
    if (status == ARES_SUCCESS)
        status = ares_parse_ptr_reply(packet, size, nullptr, 0, AF_UNSPEC, &found);
    const std::unique_ptr<hostent, decltype(&ares_free_hostent)> owner{found, ares_free_hostent};
    std::shared_ptr<answer> made;
    try {
        made = std::make_shared<answer>();
        if (status != ARES_SUCCESS)
            made->error = self.error_of(asked, status);
        else if (found->h_name && *found->h_name)
            made->name = found->h_name;
        else
            made->error = net::resolver_errc::no_data;
    } catch (const std::bad_alloc&) {
        made = nullptr;
    }
    self.finish(asked, std::move(made), 0);
}

void query_channel::finish(lookup& asked, std::shared_ptr<answer> found, long time_to_live) noexcept {
    --open_;
    if (asked.waiters > 0)
        --awaited_;
    owner_.finish(asked, found ? std::shared_ptr<const answer>{std::move(found)} : without_memory_, time_to_live);
}

std::error_code query_channel::error_of(const lookup& asked, int status) const noexcept {
    using net::resolver_errc;
    if (asked.goes_on && is_absent(status)) // it may be where the servers fail
        return resolver_errc::server_failure;
    switch (status) {
    case ARES_ENODATA:
        return resolver_errc::no_data;
    case ARES_ENOTFOUND:
    case ARES_EBADNAME: // the name itself was looked at before: with what the search list adds it is too long, or has two dots
        return resolver_errc::not_found;
    case ARES_ESERVFAIL:
    case ARES_EFORMERR:
    case ARES_ENOTIMP:
        return resolver_errc::server_failure;
    case ARES_EREFUSED:
        return resolver_errc::refused;
    case ARES_EBADRESP:
    case ARES_EOF:
        return resolver_errc::bad_response;
    case ARES_ECONNREFUSED:
        return asked.refusal ? asked.refusal : socket_error_ ? socket_error_ : resolver_errc::unreachable;
    case ARES_ETIMEOUT:
        return asked.refusal ? asked.refusal : resolver_errc::no_answer;
    case ARES_ENOMEM:
        return std::make_error_code(std::errc::not_enough_memory);
    default:
        return closing_ ? closing_ : std::make_error_code(std::errc::operation_canceled);
    }
}

void query_channel::note_refusal(const unsigned char* packet, std::size_t size) noexcept {
    constexpr std::size_t header = 12;
    if (size <= header || size > 65'535)
        return;
    const int code = packet[3] & 0xf;
    if (code != 2 && code != 4 && code != 5) // SERVFAIL, NOTIMP, REFUSED
        return;
    char* text = nullptr;
    long encoded = 0;
    if (ares_expand_name(packet + header, packet, static_cast<int>(size), &text, &encoded) != ARES_SUCCESS)
        return;
    const std::unique_ptr<char, decltype(&ares_free_string)> owner{text, ares_free_string};
    try {
        // The question's own name, or that with a domain of the search list.
        for (std::string name = in_small_letters(text); !name.empty(); cut_last_part(name))
            for (const auto kind : {question::kind::addresses, question::kind::v4_addresses,
                                    question::kind::v6_addresses, question::kind::name_of_address})
                for (const char* end : {"", "."})
                    if (lookup* asked = owner_.find_open({kind, name + end}); asked && asked->through.get() == this) {
                        asked->refusal = code == 5 ? net::resolver_errc::refused : net::resolver_errc::server_failure;
                        asked->failing = code == 2 ? in_small_letters(text) : std::string{};
                    }
    } catch (const std::bad_alloc&) { // then it is reported less exactly
    }
}

} // namespace coir::detail
