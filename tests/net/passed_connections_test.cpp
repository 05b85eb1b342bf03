#include "io/descriptors.hpp"
#include "net/tcp_pair.hpp"
#include "scratch_folder.hpp"

#include <coir/coir.hpp>

#include <array>
#include <chrono>
#include <filesystem>
#include <string>
#include <thread>
#include <utility>
#include <vector>

/// Sockets that are given up: for another loop, or for another owner in the same.
namespace coir::test {
namespace {

using namespace std::chrono_literals;
using net::tcp_listener;
using net::tcp_stream;

class passed_connections : public descriptors {
protected:
    void SetUp() override {
        coir::run([] {}); // what a program opens once
        descriptors::SetUp();
    }
};

constexpr std::size_t worker_count = 2;

using connections = channel<int>;

// Answers each byte by itself and the worker's number.
void serve_from(connections& from, std::size_t worker) {
    task_group group;
    for (const int number : from)
        group.spawn([worker, peer = tcp_stream{io::descriptor{number}}]() mutable {
            std::array<std::byte, 2> answer{{{}, static_cast<std::byte>(worker)}};
            while (peer.read_some(std::span{answer}.first(1), 20s) != 0)
                peer.write_all(answer, 20s);
        });
    group.join();
}

class workers {
public:
    workers() {
        for (std::size_t i = 0; i < worker_count; ++i)
            threads_.emplace_back([this, i] { coir::run([this, i] { serve_from(queues_[i], i); }); });
    }
    ~workers() {
        for (connections& each : queues_)
            each.close();
    }

    void give(std::size_t worker, int number) { queues_[worker].send(number, 20s); }

private:
    std::array<connections, worker_count> queues_;
    std::vector<std::jthread> threads_;
};

TEST_F(passed_connections, are_served_by_the_loops_of_other_threads) {
    constexpr std::size_t clients = 40;
    std::size_t right = 0;
    {
        workers work;
        coir::run([&] {
            tcp_listener listener{"127.0.0.1", 0};
            // The first byte of each says to whom it goes. It has been waited for, so this loop's epoll knows the socket.
            auto acceptor = spawn([&] {
                for (std::size_t i = 0; i < clients; ++i) {
                    tcp_stream peer = listener.accept(20s);
                    std::array<std::byte, 1> worker{};
                    peer.read_all(worker, 20s);
                    work.give(static_cast<std::size_t>(worker[0]), peer.release().release());
                }
            });
            for (std::size_t i = 0; i < clients; ++i) {
                const auto worker = static_cast<std::byte>(i % worker_count);
                tcp_stream client{listener.local_endpoint(), 20s};
                this_fiber::yield(); // it is accepted, and waits for the byte
                client.write_all(std::array{worker}, 20s);
                bool all_right = true;
                for (const std::byte question : {static_cast<std::byte>(i), std::byte{77}}) {
                    std::array<std::byte, 2> answer{};
                    client.write_all(std::array{question}, 20s);
                    client.read_all(answer, 20s);
                    all_right = all_right && answer == std::array{question, worker};
                }
                right += all_right;
            }
            acceptor.join();
        });
    }
    EXPECT_EQ(right, clients);
}

TEST_F(passed_connections, go_on_under_another_owner) {
    coir::run([] {
        tcp_pair made = connect_tcp();
        std::array<std::byte, 4> buffer{};
        auto reader = spawn([&] { return made.near.read_some(buffer, 20s); });
        this_fiber::yield();
        const int number = made.near.native_handle();
        io::descriptor owner = made.near.release();
        EXPECT_FALSE(made.near);
        EXPECT_EQ(owner.get(), number);
        made.far.write_all(bytes_of("x"), 5s);
        EXPECT_EQ(reader.join(), 1U); // it is the same descriptor still

        auto other_reader = spawn([&] { return error_of([&](auto& error) { owner.read_some(buffer, error, 20s); }); });
        this_fiber::yield();
        raw mine{owner.release()};
        EXPECT_EQ(other_reader.join(), std::errc::bad_file_descriptor);
        made.far.write_all(bytes_of("y"), 5s);
        tcp_stream again{io::descriptor{mine.take()}};
        EXPECT_EQ(again.read_some(buffer, 5s), 1U);
        EXPECT_FALSE(tcp_stream{}.release());
    });
}

TEST_F(passed_connections, so_do_all_other_sockets) {
    coir::run([] {
        tcp_listener listener{"127.0.0.1", 0};
        const net::endpoint where = listener.local_endpoint();
        EXPECT_EQ(tcp_listener{listener.release()}.local_endpoint(), where);
        EXPECT_FALSE(listener);
        net::udp_socket udp{"127.0.0.1", 0};
        const net::endpoint udp_where = udp.local_endpoint();
        EXPECT_EQ(net::udp_socket{udp.release()}.local_endpoint(), udp_where);
        auto [near, far] = net::unix_seqpacket::pair();
        net::unix_seqpacket packets{near.release()};
        packets.send(bytes_of("x"), 5s);
        std::array<std::byte, 4> buffer{};
        EXPECT_EQ(far.receive(buffer, 5s).size, 1U);
    });
}

// Who gives a socket up does not remove its path.
TEST_F(passed_connections, a_bound_path_stays) {
    const scratch_folder folder;
    const auto at = [&](const char* name) { return net::unix_endpoint{(folder.path() / name).string()}; };
    coir::run([&] {
        io::descriptor stream = net::unix_listener{at("s")}.release();
        io::descriptor packets = net::unix_seqpacket_listener{at("q")}.release();
        io::descriptor datagrams = net::unix_datagram{at("d")}.release();
        for (const char* name : {"s", "q", "d"})
            EXPECT_TRUE(std::filesystem::exists(folder.path() / name)) << name;
        net::unix_listener listener{std::move(stream)};
        const net::unix_stream client{at("s"), 5s};
        EXPECT_TRUE(listener.accept(5s));
        EXPECT_EQ(net::unix_seqpacket_listener{std::move(packets)}.local_endpoint(), at("q"));
        net::unix_datagram{net::unix_endpoint{}}.send_to(bytes_of("x"), at("d"), 5s);
        std::array<std::byte, 4> buffer{};
        EXPECT_EQ(net::unix_datagram{std::move(datagrams)}.receive(buffer, 5s).size, 1U);
    });
}

} // namespace
} // namespace coir::test
