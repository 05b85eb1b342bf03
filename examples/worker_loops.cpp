/// One loop accepts connections, and two others, each on a thread of its own, serve them. A socket belongs to the loop that adopted it;
/// so the acceptor gives it up, its number goes through a channel, and the worker adopts it.

#include <coir/coir.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <exception>
#include <iostream>
#include <span>
#include <string>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <vector>

using namespace std::chrono_literals;
using coir::net::tcp_stream;

namespace {

void echo(tcp_stream peer) try {
    std::array<std::byte, 100> buffer;
    while (const std::size_t size = peer.read_some(buffer, 5s))
        peer.write_all(std::span{buffer}.first(size), 5s);
} catch (const std::system_error&) {} // the end of this connection; a member that fails would end the group

void accept_all(coir::net::tcp_listener& listener, coir::channel<int>& connections) {
    for (;;) {
        tcp_stream peer = listener.accept();
        const int number = peer.release().release(); // belongs to no loop, and nobody closes it
        std::error_code error;
        if (!connections.send(number, error))
            ::close(number);
    }
}

void work(coir::channel<int>& connections) {
    coir::task_group group;
    for (const int number : connections) // until the channel is closed, and empty
        group.spawn([peer = tcp_stream{coir::io::descriptor{number}}]() mutable { echo(std::move(peer)); });
    group.join();
}

struct closing {
    coir::channel<int>& channel;
    ~closing() { channel.close(); }
};

std::string ask(const coir::net::endpoint& server, const std::string& question) {
    tcp_stream stream{server, 5s};
    stream.write_all(question, 5s);
    std::string answer(question.size(), '\0');
    answer.resize(stream.read_all(answer, 5s));
    return answer;
}

} // namespace

int main() try {
    coir::channel<int> connections{16};
    std::vector<std::jthread> workers;
    for (int i = 0; i < 2; ++i)
        workers.emplace_back([&] { coir::run([&] { work(connections); }); });
    return coir::run([&] {
        const closing at_the_end{connections};
        coir::net::tcp_listener listener{"127.0.0.1", 0};
        const coir::fiber<void> acceptor = coir::spawn([&] { accept_all(listener, connections); });
        int right = 0;
        for (int i = 0; i < 10; ++i)
            right += ask(listener.local_endpoint(), std::to_string(i)) == std::to_string(i);
        std::cout << right << " questions answered\n";
        return right == 10 ? 0 : 1;
    });
} catch (const std::exception& error) {
    std::cerr << "worker_loops: " << error.what() << '\n';
    return 1;
}
