#include "io/descriptors.hpp"
#include "net/abstract_name.hpp"
#include "scratch_folder.hpp"

#include <coir/coir.hpp>

#include <chrono>
#include <ctime>
#include <filesystem>
#include <set>
#include <string>
#include <sys/stat.h>
#include <vector>

namespace coir::test {
namespace {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;
using net::unix_datagram;
using net::unix_endpoint;
using net::unix_listener;
using net::unix_seqpacket;
using net::unix_seqpacket_listener;
using net::unix_stream;

class unix_socket : public descriptors {
protected:
    void TearDown() override {
        descriptors::TearDown();
        // What they have bound they have removed.
        EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
    }

    [[nodiscard]] std::string path(const char* name) const { return folder_.path() / name; }
    [[nodiscard]] unix_endpoint at(const char* name) const { return unix_endpoint{path(name)}; }

    scratch_folder folder_;
};

TEST(unix_endpoint, kinds_and_texts) {
    const unix_endpoint unnamed;
    EXPECT_TRUE(unnamed.is_unnamed());
    EXPECT_FALSE(unnamed.is_abstract() || unnamed.is_path());
    EXPECT_EQ(unnamed.to_string(), "(unnamed)");
    const unix_endpoint path{"/run/x.sock"};
    EXPECT_TRUE(path.is_path());
    EXPECT_EQ(path.name(), "/run/x.sock");
    EXPECT_EQ(path.to_string(), "/run/x.sock");
    using namespace std::string_view_literals;
    const unix_endpoint name = unix_endpoint::abstract("a\0b\\ "sv);
    EXPECT_TRUE(name.is_abstract());
    EXPECT_EQ(name.name(), "a\0b\\ "sv);
    EXPECT_EQ(name.to_string(), "@a\\x00b\\x5c\\x20");
    EXPECT_EQ(name, unix_endpoint::from_native(name.native(), name.native_size()));
    EXPECT_EQ(path, unix_endpoint::from_native(path.native(), path.native_size()));
    EXPECT_NE(path, name);
    EXPECT_NE(unix_endpoint::abstract(""), unnamed);
    EXPECT_NE(unix_endpoint::abstract("/run/x.sock"), path);
}

TEST(unix_endpoint, lengths_are_checked) {
    EXPECT_EQ(unix_endpoint(std::string(107, 'x')).name().size(), 107U);
    EXPECT_EQ(thrown_by([] { unix_endpoint{std::string(108, 'x')}; }), std::errc::filename_too_long);
    EXPECT_EQ(unix_endpoint::abstract(std::string(107, 'x')).name().size(), 107U);
    EXPECT_EQ(thrown_by([] { (void)unix_endpoint::abstract(std::string(108, 'x')); }), std::errc::filename_too_long);
    EXPECT_EQ(thrown_by([] { unix_endpoint{""}; }), std::errc::invalid_argument);
    EXPECT_EQ(thrown_by([] { unix_endpoint{std::string_view{"a\0b", 3}}; }), std::errc::invalid_argument);
    std::error_code error;
    EXPECT_TRUE(unix_endpoint(std::string(200, 'x'), error).is_unnamed());
    EXPECT_EQ(error, std::errc::filename_too_long);
    const sockaddr other{AF_INET, {}};
    EXPECT_THROW((void)unix_endpoint::from_native(&other, sizeof other), std::system_error);
    sockaddr_storage large{};
    large.ss_family = AF_UNIX;
    EXPECT_THROW((void)unix_endpoint::from_native(&large, sizeof large), std::system_error);
}

TEST_F(unix_socket, streams_over_a_path_and_an_abstract_name) {
    coir::run([&] {
        for (const unix_endpoint& where :
             {at("s"), abstract_name("s"), unix_endpoint{path("") + std::string(60, 'l')}}) {
            unix_listener listener{where};
            EXPECT_EQ(listener.local_endpoint(), where);
            unix_stream near{where, 5s};
            unix_stream far = listener.accept(5s);
            EXPECT_EQ(near.remote_endpoint(), where);
            EXPECT_EQ(far.local_endpoint(), where);
            EXPECT_TRUE(far.remote_endpoint().is_unnamed());
            near.write_all(bytes_of("question"), 5s);
            near.shutdown_write();
            std::array<std::byte, 20> buffer{};
            EXPECT_EQ(far.read_all(buffer, 5s), 8U);
            far.write_all(bytes_of("answer"), 5s);
            far.close();
            EXPECT_EQ(near.read_all(buffer, 5s), 6U);
            for (const int each : {listener.native_handle(), near.native_handle()})
                EXPECT_NE(::fcntl(each, F_GETFD) & FD_CLOEXEC, 0);
        }
    });
}

TEST_F(unix_socket, seqpackets_keep_their_borders) {
    coir::run([&] {
        unix_seqpacket_listener listener{at("q")};
        unix_seqpacket near{at("q"), 5s};
        unix_seqpacket far = listener.accept(5s);
        near.send(bytes_of("one"), 5s);
        near.send(bytes_of("two and more"), 5s);
        near.send(bytes_of("three"), 5s);
        std::array<std::byte, 5> buffer{};
        EXPECT_EQ(far.receive(buffer, 5s).size, 3U);
        const net::received_message cut = far.receive(buffer, 5s);
        EXPECT_TRUE(cut.truncated);
        EXPECT_EQ(cut.size, 5U);
        EXPECT_FALSE(far.receive(buffer, 5s).truncated);
        EXPECT_EQ(thrown_by([&] { near.send({}, 5s); }), std::errc::invalid_argument);
        EXPECT_EQ(error_of([&](auto& error) { (void)far.receive(buffer, error, 1ms); }), std::errc::timed_out);
        near.shutdown_write();
        EXPECT_EQ(far.receive(buffer, 5s).size, 0U);
        EXPECT_EQ(far.credentials().process, ::getpid());
        EXPECT_EQ(far.remote_endpoint(), unix_endpoint{});
        far.close();
        EXPECT_EQ(thrown_by([&] { near.send(bytes_of("x"), 5s); }), std::errc::broken_pipe);
    });
}

TEST_F(unix_socket, datagrams_say_who_sent_them) {
    coir::run([&] {
        unix_datagram server{at("d")};
        unix_datagram named{at("c")};
        unix_datagram unnamed{unix_endpoint{}};
        std::array<std::byte, 4> buffer{};
        named.send_to(bytes_of("a"), at("d"), 5s);
        const unix_datagram::received got = server.receive(buffer, 5s);
        EXPECT_EQ(got.from, at("c"));
        server.send_to(bytes_of("answer"), got.from, 5s);
        EXPECT_TRUE(named.receive(buffer, 5s).truncated);
        unnamed.send_to({}, at("d"), 5s); // an empty one
        const unix_datagram::received empty = server.receive(buffer, 5s);
        EXPECT_TRUE(empty.from.is_unnamed());
        EXPECT_EQ(empty.size, 0U);
        unnamed.connect(at("d"));
        EXPECT_EQ(unnamed.remote_endpoint(), at("d"));
        unnamed.send(bytes_of("x"), 5s);
        EXPECT_EQ(server.receive(buffer, 5s).size, 1U);
        server.close();
        EXPECT_EQ(thrown_by([&] { unnamed.send(bytes_of("x"), 5s); }), std::errc::connection_refused);
        try {
            named.send_to(bytes_of("x"), at("d"), 5s);
            ADD_FAILURE();
        } catch (const std::system_error& failure) {
            EXPECT_EQ(failure.what(), "send to " + path("d") + ": No such file or directory");
        }
    });
}

TEST_F(unix_socket, what_fails_names_the_peer) {
    coir::run([this] {
        const unix_endpoint name = abstract_name("peer\n");
        unix_stream near;
        {
            unix_listener listener{name};
            near = unix_stream{name, 5s};
            (void)listener.accept(5s);
        }
        const auto text = [](auto call) -> std::string {
            try {
                call();
                return "no error";
            } catch (const io::transfer_error& failure) {
                return failure.what();
            }
        };
        const std::string end = " with " + name.to_string() + ": Broken pipe";
        EXPECT_NE(end.find("peer\\x0a"), std::string::npos);
        EXPECT_EQ(text([&] { near.write_all(bytes_of("x"), 5s); }), "io::write_all" + end);
        EXPECT_EQ(text([&] { near.write_with(bytes_of("x"), {}, 5s); }), "net::unix_stream::write_with" + end);

        const std::string of_28_bytes_and_more = path("a_name_of_28_bytes_and_more_than_that");
        {
            unix_listener listener{unix_endpoint{of_28_bytes_and_more}};
            near = unix_stream{unix_endpoint{of_28_bytes_and_more}, 5s};
            (void)listener.accept(5s);
        }
        EXPECT_EQ(text([&] { near.write_all(bytes_of("x"), 5s); }),
                  "io::write_all with " + of_28_bytes_and_more + ": Broken pipe");
    });
}

TEST_F(unix_socket, pairs) {
    coir::run([] {
        auto [a, b] = unix_stream::pair();
        a.write_all(bytes_of("x"), 5s);
        std::array<std::byte, 4> buffer{};
        EXPECT_EQ(b.read_some(buffer, 5s), 1U);
        EXPECT_EQ(a.credentials(), (net::peer_credentials{::getpid(), ::geteuid(), ::getegid()}));
        EXPECT_TRUE(a.remote_endpoint().is_unnamed());
        auto [c, d] = unix_seqpacket::pair();
        c.send(bytes_of("xy"), 5s);
        EXPECT_EQ(d.receive(buffer, 5s).size, 2U);
        auto [e, f] = unix_datagram::pair();
        e.send(bytes_of("xyz"), 5s);
        EXPECT_EQ(f.receive(buffer, 5s).size, 3U);
        e.send({}, 5s);
        EXPECT_EQ(f.receive(buffer, 5s).size, 0U);
        for (const int each : {a.native_handle(), d.native_handle(), f.native_handle()}) {
            EXPECT_NE(::fcntl(each, F_GETFD) & FD_CLOEXEC, 0);
            EXPECT_NE(::fcntl(each, F_GETFL) & O_NONBLOCK, 0);
        }
        std::error_code error;
        EXPECT_TRUE(unix_stream::pair(error).second);
        EXPECT_FALSE(error);
    });
    EXPECT_THROW((void)unix_stream::pair(), std::logic_error);
    std::error_code error;
    EXPECT_FALSE(unix_datagram::pair(error).first);
    EXPECT_EQ(error, std::errc::operation_not_permitted);
}

TEST_F(unix_socket, who_removes_the_path) {
    coir::run([&] {
        {
            const unix_listener listener{at("s")};
            EXPECT_TRUE(std::filesystem::exists(path("s")));
        }
        EXPECT_FALSE(std::filesystem::exists(path("s")));
        unix_listener closed{at("s")};
        closed.close();
        EXPECT_FALSE(std::filesystem::exists(path("s")));

        // Somebody else's file is left alone.
        {
            unix_listener first{at("s")};
            ASSERT_EQ(::unlink(path("s").c_str()), 0);
            unix_listener second{at("s")};
            first = unix_listener{};
            EXPECT_TRUE(std::filesystem::exists(path("s")));
            {
                const unix_listener moved = std::move(second);
                EXPECT_TRUE(std::filesystem::exists(path("s")));
            }
            EXPECT_FALSE(std::filesystem::exists(path("s")));
            const unix_listener third{at("s")};
            closed = unix_listener{}; // nothing to remove
            EXPECT_TRUE(std::filesystem::exists(path("s")));
            closed = unix_listener{at("t")};
            closed = unix_listener{at("u")};
            EXPECT_FALSE(std::filesystem::exists(path("t")));
            closed.close();
        }
        // A child that has the listener, too, does not take its parent's path away.
        const unix_listener parent{at("s")};
        EXPECT_EQ(in_child([&] {
                      auto& inherited = const_cast<unix_listener&>(parent);
                      inherited = unix_listener{};
                      return std::filesystem::exists(path("s")) ? 0 : 1;
                  }),
                  0);
        EXPECT_EQ(thrown_by([] { unix_listener{unix_endpoint{}}; }),
                  std::errc::invalid_argument); // no name, no clients
        // Who takes over a socket does not remove its path either.
        {
            unix_listener adopted{io::descriptor{::fcntl(parent.native_handle(), F_DUPFD_CLOEXEC, 0)}};
            EXPECT_EQ(adopted.local_endpoint(), at("s"));
        }
        EXPECT_TRUE(std::filesystem::exists(path("s")));
        EXPECT_EQ(thrown_by([&] { unix_listener{io::descriptor{make_sockets().read.take()}}; }),
                  std::errc::invalid_argument);
        EXPECT_EQ(thrown_by([&] {
                      unix_seqpacket_listener{io::descriptor{::fcntl(parent.native_handle(), F_DUPFD_CLOEXEC, 0)}};
                  }),
                  std::errc::invalid_argument);
    });
}

TEST_F(unix_socket, stale_paths_are_replaced_on_demand) {
    coir::run([&] {
        { // left behind
            const int dead = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
            const unix_endpoint where = at("s");
            ASSERT_EQ(
                ::bind(dead, static_cast<const sockaddr*>(where.native()), static_cast<socklen_t>(where.native_size())),
                0);
            ::close(dead);
        }
        try {
            const unix_listener refused{at("s")};
            ADD_FAILURE();
        } catch (const std::system_error& failure) {
            EXPECT_EQ(failure.what(), "listen on " + path("s") + ": Address already in use");
        }
        EXPECT_EQ(thrown_by([&] { unix_stream{at("s"), 5s}; }), std::errc::connection_refused);
        unix_listener replaced{at("s"), {.replace_stale = true}};
        const unix_stream client{at("s"), 5s};
        // Not while somebody listens, and nothing that is no socket.
        EXPECT_EQ(thrown_by([&] { unix_listener(at("s"), {.replace_stale = true}); }), std::errc::address_in_use);
        EXPECT_TRUE(replaced.accept(5s));
        // Nor if it cannot be asked, as its backlog is full.
        unix_listener busy{at("b"), {}, 0};
        const unix_stream queued{at("b"), 5s};
        EXPECT_EQ(thrown_by([&] { unix_listener(at("b"), {.replace_stale = true}); }), std::errc::address_in_use);
        EXPECT_TRUE(busy.accept(5s));
        ::close(::open(path("file").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
        EXPECT_EQ(thrown_by([&] { unix_listener(at("file"), {.replace_stale = true}); }), std::errc::address_in_use);
        std::filesystem::remove(path("file"));
        // Datagram sockets leave paths behind as well.
        { const unix_datagram first{at("d")}; }
        const unix_datagram bound{at("d")};
        EXPECT_EQ(thrown_by([&] { unix_datagram(at("d"), {.replace_stale = true}); }), std::errc::address_in_use);
    });
}

TEST_F(unix_socket, the_file_has_its_mode) {
    coir::run([&] {
        const unix_listener listener{at("s"), {.mode = 0600}};
        struct stat file {};
        ASSERT_EQ(::stat(path("s").c_str(), &file), 0);
        EXPECT_EQ(file.st_mode & 0777U, 0600U);
    });
}

TEST_F(unix_socket, connecting_waits_while_the_backlog_is_full) {
    coir::run([&] {
        unix_listener listener{at("s"), {}, 0};
        const unix_stream first{at("s"), 5s}; // a backlog of 0 holds one
        EXPECT_EQ(thrown_by([&] { unix_stream{at("s"), 20ms}; }), std::errc::timed_out);
        EXPECT_EQ(error_of([&](auto& error) { unix_stream(at("s"), error, deadline::passed()); }),
                  std::errc::timed_out);
        auto never = spawn([&] { unix_stream{at("s")}; });
        auto second = spawn([&] { return unix_stream{at("s"), 20s}; });
        this_fiber::sleep_for(2ms);
        never.cancel();
        EXPECT_THROW(never.join(), cancelled);
        const std::clock_t cpu = std::clock();
        this_fiber::sleep_for(200ms);
        EXPECT_LT(std::clock() - cpu, CLOCKS_PER_SEC / 20); // it does not spin
        EXPECT_TRUE(listener.accept(5s));
        EXPECT_TRUE(second.join());
        EXPECT_TRUE(listener.accept(5s));
    });
}

// The sender's socket counts as writable, so waiting for that would spin.
TEST_F(unix_socket, sending_waits_while_the_receiver_is_full) {
    coir::run([&] {
        unix_datagram server{at("d")};
        unix_datagram client{unix_endpoint{}};
        std::size_t sent = 0;
        std::error_code error;
        for (;; ++sent) {
            client.send_to(bytes_of("x"), at("d"), error, deadline::passed());
            if (error)
                break;
        }
        EXPECT_EQ(error, std::errc::timed_out);
        EXPECT_GE(sent, 1U);
        auto cancelled_one = spawn([&] { client.send_to(bytes_of("x"), at("d")); });
        auto waiting = spawn([&] { client.send_to(bytes_of("last"), at("d"), 20s); });
        const std::clock_t cpu = std::clock();
        this_fiber::sleep_for(200ms);
        EXPECT_LT(std::clock() - cpu, CLOCKS_PER_SEC / 20);
        cancelled_one.cancel();
        EXPECT_THROW(cancelled_one.join(), cancelled);
        // A connected one waits for an event.
        unix_datagram connected{unix_endpoint{}};
        connected.connect(at("d"));
        EXPECT_EQ(error_of([&](auto& e) { connected.send(bytes_of("x"), e, 1ms); }), std::errc::timed_out);
        std::array<std::byte, 8> buffer{};
        for (std::size_t i = 0; i <= sent; ++i)
            EXPECT_EQ(server.receive(buffer, 5s).size, i < sent ? 1U : 4U);
        waiting.join();
        // Closed while it waits.
        while (client.send_to(bytes_of("x"), at("d"), error, deadline::passed()), !error) {}
        auto closed = spawn([&] { return error_of([&](auto& e) { client.send_to(bytes_of("x"), at("d"), e); }); });
        this_fiber::sleep_for(1ms);
        client.close();
        EXPECT_EQ(closed.join(), std::errc::bad_file_descriptor);
    });
}

TEST_F(unix_socket, a_hundred_fibers_accept_each_connection_once) {
    coir::run([&] {
        unix_listener listener{abstract_name("hundred")};
        std::size_t accepted = 0;
        std::vector<fiber<void>> all;
        for (int i = 0; i < 100; ++i)
            all.push_back(spawn([&] {
                unix_stream peer = listener.accept(20s);
                ++accepted;
                peer.write_all(bytes_of("!"), 20s);
            }));
        for (int i = 0; i < 100; ++i)
            all.push_back(spawn([&] {
                unix_stream stream{listener.local_endpoint(), 20s};
                std::array<std::byte, 1> byte{};
                EXPECT_EQ(stream.read_all(byte, 20s), 1U);
            }));
        for (auto& each : all)
            each.join();
        EXPECT_EQ(accepted, 100U);
    });
}

TEST_F(unix_socket, deadline_cancellation_and_closing) {
    coir::run([&] {
        unix_listener listener{at("s")};
        unix_seqpacket_listener packets{at("q")};
        unix_datagram datagrams{at("d")};
        auto sockets = unix_seqpacket::pair(); // no structured binding: clang 14 lets no lambda in a lambda have those
        auto& packet = sockets.first;
        std::array<std::byte, 4> buffer{};
        EXPECT_EQ(thrown_by([&] { listener.accept(1ms); }), std::errc::timed_out);
        EXPECT_EQ(thrown_by([&] { packets.accept(1ms); }), std::errc::timed_out);
        EXPECT_EQ(thrown_by([&] { (void)datagrams.receive(buffer, 1ms); }), std::errc::timed_out);
        EXPECT_EQ(thrown_by([&] { (void)packet.receive(buffer, 1ms); }), std::errc::timed_out);
        const std::vector<std::byte> big(10'000);
        std::error_code error;
        while (packet.send(big, error, deadline::passed()), !error) {}
        EXPECT_EQ(error, std::errc::timed_out);

        std::vector<fiber<void>> throwing;
        throwing.push_back(spawn([&] { listener.accept(); }));
        throwing.push_back(spawn([&] { packets.accept(); }));
        throwing.push_back(spawn([&] { (void)datagrams.receive(buffer); }));
        throwing.push_back(spawn([&] { (void)packet.receive(buffer); }));
        throwing.push_back(spawn([&] { packet.send(big); }));
        std::vector<fiber<std::error_code>> telling;
        telling.push_back(spawn([&] { return error_of([&](auto& e) { listener.accept(e); }); }));
        telling.push_back(spawn([&] { return error_of([&](auto& e) { packets.accept(e); }); }));
        telling.push_back(spawn([&] { return error_of([&](auto& e) { (void)datagrams.receive(buffer, e); }); }));
        telling.push_back(spawn([&] { return error_of([&](auto& e) { (void)packet.receive(buffer, e); }); }));
        telling.push_back(spawn([&] { return error_of([&](auto& e) { packet.send(big, e); }); }));
        this_fiber::sleep_for(1ms);
        for (auto& each : throwing) {
            each.cancel();
            EXPECT_THROW(each.join(), cancelled);
        }
        telling[0].cancel();
        EXPECT_EQ(telling[0].join(), std::errc::operation_canceled);
        packets.close();
        datagrams.close();
        packet.close();
        for (std::size_t i = 1; i < telling.size(); ++i)
            EXPECT_EQ(telling[i].join(), std::errc::bad_file_descriptor) << i;
        EXPECT_EQ(thrown_by([&] { unix_stream{at("nobody"), 5s}; }), std::errc::no_such_file_or_directory);
        EXPECT_EQ(thrown_by([&] { unix_listener{unix_endpoint{}}; }), std::errc::invalid_argument);
    });
    EXPECT_THROW(unix_listener{at("s")}, std::logic_error);
}

} // namespace
} // namespace coir::test
