/// \file
/// The load of http_rps_N: connections that each have one request under way and send the next one when the answer has come.
///
/// Cheap for what it does (one send, one receive, and its share of an epoll_wait for each request; no parsing), so that the
/// server's core is the limit and not this one's. The first answer on each connection is taken apart: status, length, and
/// every byte of the body. Those that follow must be as long and begin with the same status line.
///
///     http_load PORT PROCESS FILE CONNECTIONS SECONDS
///
/// asks the server on 127.0.0.1:PORT for /NAME-OF-FILE and prints: requests per second, the part of a core that PROCESS
/// (the server) used, its microseconds of processor time per request, and the part of a core that the load used.

#include "busy_poll.hpp"
#include "loopback.hpp"
#include "processor_time.hpp"

#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

using clock_type = std::chrono::steady_clock;

constexpr std::string_view good_status = "HTTP/1.1 200 OK\r\n";

class http_load {
public:
    struct result {
        std::uint64_t answers = 0;
        clock_type::duration took{};
        clock_type::duration idle{}; // there was nothing to receive: the server was the limit
    };

    http_load(std::uint16_t port, const std::string& target, std::string_view body, std::size_t connections)
        : request_("GET " + target + " HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"), connections_(connections) {
        for (connection& each : connections_) {
            each.socket = connect_to_loopback(port);
            learn(each, body);
            poll_.add(each.socket, &each);
        }
    }

    /// Sends requests for `duration`, waits for the last answers.
    result run(clock_type::duration duration) {
        const auto idle_before = poll_.idle();
        const clock_type::time_point start = clock_type::now();
        for (connection& each : connections_)
            ask(each);
        std::uint64_t answers = 0;
        bool asking = true;
        for (std::size_t under_way = connections_.size(); under_way > 0;) {
            for (const epoll_event& event : poll_.wait()) {
                auto& each = *static_cast<connection*>(event.data.ptr);
                if (!receive(each))
                    continue;
                ++answers;
                if (asking)
                    ask(each);
                else
                    --under_way;
            }
            asking = asking && clock_type::now() - start < duration;
        }
        return {answers, clock_type::now() - start, poll_.idle() - idle_before};
    }

private:
    struct connection {
        int socket = -1;
        std::uint32_t answer_size = 0;
        std::uint32_t received = 0; // of the answer under way
    };

    void ask(const connection& on) const {
        if (::send(on.socket, request_.data(), request_.size(), MSG_NOSIGNAL) != std::ssize(request_))
            throw std::system_error{errno, std::generic_category(), "send"};
    }

    /// True: the answer is complete.
    bool receive(connection& from) {
        const ssize_t count = ::recv(from.socket, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
        if (count == -1 && errno == EAGAIN)
            return false;
        if (count <= 0)
            throw std::runtime_error{"the server has closed a connection"};
        if (from.received == 0 &&
            !std::string_view{buffer_.data(), static_cast<std::size_t>(count)}.starts_with(good_status))
            throw std::runtime_error{"an answer does not begin with 200"};
        from.received += static_cast<std::uint32_t>(count);
        if (from.received > from.answer_size)
            throw std::runtime_error{"an answer is longer than the first one"};
        if (from.received < from.answer_size)
            return false;
        from.received = 0;
        return true;
    }

    /// The first request of a connection.
    void learn(connection& on, std::string_view body) {
        ask(on);
        std::string answer;
        std::size_t head = std::string::npos;
        while (head == std::string::npos || answer.size() < head + 4 + body.size()) {
            const ssize_t count = ::recv(on.socket, buffer_.data(), buffer_.size(), 0);
            if (count <= 0)
                throw std::runtime_error{"the server has closed a connection"};
            answer.append(buffer_.data(), static_cast<std::size_t>(count));
            head = answer.find("\r\n\r\n");
        }
        const std::string length = "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n";
        if (!answer.starts_with(good_status) || answer.substr(0, head + 2).find(length) == std::string::npos ||
            answer.substr(head + 4) != body)
            throw std::runtime_error{"the first answer is not the file: " + answer.substr(0, head)};
        on.answer_size = static_cast<std::uint32_t>(answer.size());
    }

    std::string request_;
    std::vector<connection> connections_;
    busy_poll poll_;
    std::array<char, 64 * 1024> buffer_;
};

void measure(std::uint16_t port, pid_t server, const std::filesystem::path& file, std::size_t connections,
             clock_type::duration duration) {
    std::ifstream opened{file, std::ios::binary};
    const std::string body{std::istreambuf_iterator<char>{opened}, {}};
    http_load load{port, "/" + file.filename().string(), body, connections};

    const auto before = processor_time_of(server);
    const http_load::result found = load.run(duration);
    // It has answered the last request; let it find out that there is no other.
    std::this_thread::sleep_for(std::chrono::milliseconds{2});
    const std::chrono::duration<double> used = processor_time_of(server) - before;
    const std::chrono::duration<double> took = found.took;
    const auto answers = static_cast<double>(found.answers);
    std::cout << answers / took.count() << ' ' << used / took << ' ' << used.count() / answers * 1e6 << ' '
              << 1 - found.idle / took << '\n';
}

} // namespace

int main(int argc, char** argv) try {
    if (argc != 6)
        throw std::runtime_error{"usage: http_load PORT PROCESS FILE CONNECTIONS SECONDS"};
    measure(static_cast<std::uint16_t>(std::stoul(argv[1])), std::stoi(argv[2]), argv[3], std::stoul(argv[4]),
            std::chrono::nanoseconds{static_cast<std::int64_t>(std::stod(argv[5]) * 1e9)});
} catch (const std::exception& error) {
    std::cerr << "http_load: " << error.what() << '\n';
    return 1;
}
