#pragma once

#include <coir/endpoint.hpp>

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <netinet/in.h>
#include <poll.h>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

/// A DNS server for tests, on loopback, in a thread of its own: what it answers, the test says.
namespace coir::test::dns {

using packet = std::vector<std::uint8_t>;

enum type : std::uint16_t { a = 1, cname = 5, soa = 6, ptr = 12, aaaa = 28 };
enum code : std::uint8_t { no_error = 0, format_error = 1, server_failure = 2, name_error = 3, refused = 5 };

struct query {
    packet bytes;
    std::string name;
    std::uint16_t kind = 0;
    bool over_tcp = false;
    std::uint16_t from = 0; ///< the port
};

/// Builds an answer to a query.
class response {
public:
    explicit response(const query& asked, code result = no_error) : bytes_(asked.bytes) {
        bytes_[2] = 0x85; // an answer, authoritative
        bytes_[3] = static_cast<std::uint8_t>(0x80 | result);
    }
    response& address(std::string_view text, std::uint32_t ttl = 60, std::string_view owner = {}) {
        std::array<std::uint8_t, 16> native{};
        const bool v4 = text.find(':') == std::string_view::npos;
        ::inet_pton(v4 ? AF_INET : AF_INET6, std::string{text}.c_str(), native.data());
        return record(owner, v4 ? a : aaaa, ttl, {native.begin(), native.begin() + (v4 ? 4 : 16)});
    }
    response& alias(std::string_view owner, std::string_view target, std::uint32_t ttl = 60) {
        return record(owner, cname, ttl, encoded(target));
    }
    response& pointer(std::string_view target) { return record({}, ptr, 60, encoded(target)); }
    response& truncated() {
        bytes_[2] |= 2;
        return *this;
    }
    response& record(std::string_view owner, type kind, std::uint32_t ttl, const packet& data) {
        if (owner.empty())
            append({0xc0, 12}); // the name of the question
        else
            append(encoded(owner));
        append({0, static_cast<std::uint8_t>(kind), 0, 1});
        for (const int shift : {24, 16, 8, 0})
            bytes_.push_back(static_cast<std::uint8_t>(ttl >> shift));
        append({static_cast<std::uint8_t>(data.size() >> 8), static_cast<std::uint8_t>(data.size())});
        append(data);
        const unsigned count = (bytes_[6] << 8U | bytes_[7]) + 1U;
        bytes_[6] = static_cast<std::uint8_t>(count >> 8);
        bytes_[7] = static_cast<std::uint8_t>(count);
        return *this;
    }
    operator packet() const { return bytes_; } // NOLINT(google-explicit-constructor)

private:
    static packet encoded(std::string_view name) {
        packet made;
        while (!name.empty()) {
            const std::string_view part = name.substr(0, name.find('.'));
            made.push_back(static_cast<std::uint8_t>(part.size()));
            made.insert(made.end(), part.begin(), part.end());
            name.remove_prefix(std::min(part.size() + 1, name.size()));
        }
        made.push_back(0);
        return made;
    }
    void append(const packet& more) { bytes_.insert(bytes_.end(), more.begin(), more.end()); }

    packet bytes_;
};

/// Packets to send back; none is silence.
using handler = std::function<std::vector<packet>(const query&)>;

class server {
public:
    explicit server(handler answer, const net::endpoint& where = {"127.0.0.1", 0}) : answer_(std::move(answer)) {
        // The same port for both.
        for (int i = 0; i < 100 && tcp_ < 0; ++i) {
            udp_ = bound(SOCK_DGRAM, where);
            where_ = name_of(udp_);
            tcp_ = bound(SOCK_STREAM, where_);
            if (tcp_ < 0)
                ::close(udp_);
        }
        const int size = 4 << 20;
        ::setsockopt(udp_, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
        ::listen(tcp_, 16);
        stop_ = ::eventfd(0, EFD_CLOEXEC);
        thread_ = std::thread{[this] { serve(); }};
    }
    ~server() {
        const std::uint64_t one = 1;
        (void)!::write(stop_, &one, sizeof one);
        thread_.join();
        for (const int each : {udp_, tcp_, stop_})
            ::close(each);
    }
    server(const server&) = delete;
    server& operator=(const server&) = delete;

    [[nodiscard]] const net::endpoint& where() const noexcept { return where_; }

    /// Queries that have come for `name`, of whatever type.
    [[nodiscard]] std::size_t asked(const std::string& name) const {
        const std::lock_guard lock{mutex_};
        const auto found = asked_.find(name);
        return found == asked_.end() ? 0 : found->second;
    }
    [[nodiscard]] std::size_t asked() const {
        const std::lock_guard lock{mutex_};
        std::size_t sum = 0;
        for (const auto& each : asked_)
            sum += each.second;
        return sum;
    }

    /// From now on queries are only collected.
    void hold() {
        const std::lock_guard lock{mutex_};
        holding_ = true;
    }
    /// Answers what has been collected, and what comes.
    void release() {
        const std::lock_guard lock{mutex_};
        holding_ = false;
        for (const auto& [asked, from] : held_)
            send(asked, from);
        held_.clear();
    }

private:
    static int bound(int kind, const net::endpoint& where) {
        const int made = ::socket(where.is_v4() ? AF_INET : AF_INET6, kind | SOCK_CLOEXEC, 0);
        if (::bind(made, static_cast<const sockaddr*>(where.native()), static_cast<socklen_t>(where.native_size())) ==
            0)
            return made;
        ::close(made);
        if (kind == SOCK_DGRAM)
            throw std::runtime_error{"cannot bind to " + where.to_string()};
        return -1;
    }
    static net::endpoint name_of(int socket) {
        sockaddr_storage name{};
        socklen_t size = sizeof name;
        ::getsockname(socket, reinterpret_cast<sockaddr*>(&name), &size);
        return net::endpoint::from_native(&name, size);
    }
    static query parsed(packet bytes, bool over_tcp) {
        query made{std::move(bytes), {}, 0, over_tcp, 0};
        std::size_t at = 12;
        while (at < made.bytes.size() && made.bytes[at] != 0) {
            const std::size_t length = made.bytes[at];
            made.name.append(made.name.empty() ? "" : ".");
            for (std::size_t i = 1; i <= length && at + i < made.bytes.size(); ++i)
                made.name += static_cast<char>(made.bytes[at + i]);
            at += length + 1;
        }
        if (at + 2 < made.bytes.size())
            made.kind = static_cast<std::uint16_t>(made.bytes[at + 1] << 8 | made.bytes[at + 2]);
        return made;
    }
    void send(const query& asked, const net::endpoint& to) {
        for (const packet& each : answer_(asked))
            ::sendto(udp_, each.data(), each.size(), MSG_NOSIGNAL, static_cast<const sockaddr*>(to.native()),
                     static_cast<socklen_t>(to.native_size()));
    }
    void serve() {
        std::vector<pollfd> all{{stop_, POLLIN, 0}, {udp_, POLLIN, 0}, {tcp_, POLLIN, 0}};
        for (;;) {
            // EINVAL: a test has just set RLIMIT_NOFILE below the number of entries.
            if (::poll(all.data(), all.size(), -1) < 0) {
                if (errno == EINTR || errno == EINVAL)
                    continue;
                break;
            }
            if (all[0].revents != 0)
                break;
            if (all[1].revents != 0)
                receive();
            for (std::size_t i = 3; i < all.size(); ++i)
                if (all[i].revents != 0 && !answer_over_tcp(all[i].fd)) {
                    ::close(all[i].fd);
                    all[i].fd = -1;
                }
            std::erase_if(all, [](const pollfd& each) { return each.fd < 0; });
            if (all[2].revents != 0)
                all.push_back({::accept4(tcp_, nullptr, nullptr, SOCK_CLOEXEC), POLLIN, 0});
        }
        for (std::size_t i = 3; i < all.size(); ++i)
            ::close(all[i].fd);
    }
    void receive() {
        packet buffer(65'536);
        sockaddr_storage from{};
        socklen_t size = sizeof from;
        for (ssize_t n = 0; (n = ::recvfrom(udp_, buffer.data(), buffer.size(), MSG_DONTWAIT,
                                            reinterpret_cast<sockaddr*>(&from), &size)) > 0;) {
            query asked = parsed({buffer.begin(), buffer.begin() + n}, false);
            const net::endpoint sender = net::endpoint::from_native(&from, size);
            asked.from = sender.port();
            const std::lock_guard lock{mutex_};
            ++asked_[asked.name];
            if (holding_)
                held_.emplace_back(asked, sender);
            else
                send(asked, sender);
        }
    }
    // False: the connection has ended.
    bool answer_over_tcp(int connection) {
        std::array<std::uint8_t, 2> length{};
        if (::recv(connection, length.data(), 2, MSG_WAITALL) != 2)
            return false;
        packet bytes(static_cast<std::size_t>(length[0] << 8 | length[1]));
        if (::recv(connection, bytes.data(), bytes.size(), MSG_WAITALL) != static_cast<ssize_t>(bytes.size()))
            return false;
        const query asked = parsed(std::move(bytes), true);
        const std::lock_guard lock{mutex_};
        ++asked_[asked.name];
        for (packet each : answer_(asked)) {
            const std::array<std::uint8_t, 2> prefix{static_cast<std::uint8_t>(each.size() >> 8),
                                                     static_cast<std::uint8_t>(each.size())};
            each.insert(each.begin(), prefix.begin(), prefix.end());
            ::send(connection, each.data(), each.size(), MSG_NOSIGNAL);
        }
        return true;
    }

    const handler answer_; // called under the mutex
    net::endpoint where_;
    int udp_ = -1;
    int tcp_ = -1;
    int stop_ = -1;
    mutable std::mutex mutex_;
    std::map<std::string, std::size_t> asked_;
    bool holding_ = false;
    std::deque<std::pair<query, net::endpoint>> held_;
    std::thread thread_;
};

} // namespace coir::test::dns
