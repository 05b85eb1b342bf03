#include "net/tls_pair.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <random>

namespace coir::test {
namespace {

using net::tls_errc;
using net::tls_session;
using net::tls_stream;
using tls = descriptors;

// Sends `total` bytes of byte_at() in blocks of all sizes.
void send_sequence(tls_stream& to, std::size_t total, unsigned seed) {
    std::mt19937 random{seed};
    std::vector<std::byte> block;
    for (std::size_t done = 0; done < total;) {
        block.resize(std::min<std::size_t>(1 + random() % 90'000, total - done));
        for (std::byte& byte : block)
            byte = byte_at(done++);
        to.write_all(block, 60s);
    }
}

void expect_sequence(tls_stream& from, std::size_t total, unsigned seed) {
    std::mt19937 random{seed};
    std::vector<std::byte> buffer(50'000);
    std::size_t done = 0;
    while (done < total) {
        const std::size_t n = from.read_some(std::span{buffer}.first(1 + random() % buffer.size()), 60s);
        ASSERT_NE(n, 0U) << done;
        for (std::size_t i = 0; i < n; ++i)
            ASSERT_EQ(buffer[i], byte_at(done++)) << done;
    }
    EXPECT_EQ(done, total);
}

TEST_F(tls, question_and_answer) {
    coir::run([] {
        tls_pair pair = secure_pair();
        std::array<std::byte, 16> buffer{};
        EXPECT_EQ(pair.client.write_all(bytes_of("question"), 5s), 8U);
        EXPECT_EQ(pair.server.read_some(buffer, 5s), 8U);
        EXPECT_EQ(text_of(std::span{buffer}.first(8)), "question");
        EXPECT_EQ(pair.server.write_some(bytes_of("answer"), 5s), 6U);
        EXPECT_EQ(pair.client.read_all(std::span{buffer}.first(6), 5s), 6U);
        EXPECT_EQ(pair.client.read_some({}), 0U);
        EXPECT_EQ(pair.client.write_all({}), 0U);
        EXPECT_EQ(pair.client.write_all("text", 20s), 4U);
        std::string text(4, ' ');
        EXPECT_EQ(pair.server.read_all(text, 20s), 4U);
        EXPECT_EQ(text, "text");
        EXPECT_EQ(pair.server.server_name(), "localhost");
    });
}

// No handshake() anywhere: reader and writer of both sides begin it together.
TEST_F(tls, the_first_transfer_shakes_hands) {
    coir::run([] {
        tls_pair pair = connect_tls();
        task_group group;
        for (tls_stream* side : {&pair.client, &pair.server}) {
            group.spawn([side] {
                std::array<std::byte, 3> buffer{};
                EXPECT_EQ(side->read_all(buffer, 20s), 3U);
                EXPECT_EQ(text_of(buffer), "abc");
            });
            group.spawn([side] { side->write_all(bytes_of("abc"), 20s); });
        }
        group.join();
    });
}

// A writer takes part in the handshake when the server's part of it has arrived, and the reader that waits for it has been called.
// If the writer's slice ends between its step of the handshake and what it makes of the result, the reader ends the handshake
// meanwhile, and waits for the answer to what has not been written yet. Where slices end is not known here: they end everywhere.
TEST_F(tls, the_slice_of_a_writer_ends_in_the_handshake) {
    coir::run([] {
        constexpr int calls_in_two_slices = 128;
        const net::tls_context client = trusting_client();
        const net::tls_context server = good_server();
        std::array<std::byte, 1> byte{};
        for (int calls = 0; calls <= calls_in_two_slices; ++calls) {
            tls_pair pair = connect_tls(client, server);
            auto [out, in] = io::pipe();
            task_group group;
            group.spawn([&] {
                std::array<std::byte, 3> answer{};
                EXPECT_EQ(pair.client.read_all(answer), 3U);
            });
            group.spawn([&] {
                std::array<std::byte, 3> buffer{};
                EXPECT_EQ(pair.server.read_all(buffer), 3U);
                EXPECT_EQ(pair.server.write_all(buffer), 3U);
            });
            group.spawn([&, &in = in] {
                for (int i = 0; i < calls; ++i)
                    in.write_all(byte);
                pair.client.write_all(bytes_of("abc"));
            });
            with_timeout(5s, [&] { group.join(); });
        }
    });
}

// The writer takes part when the server's part has arrived. The reader, who hears from the server only later, is not left out.
TEST_F(tls, a_handshake_is_over_for_all_at_once) {
    coir::run([] {
        tls_pair pair = connect_tls();
        SSL_set_num_tickets(pair.server.native_tls(), 0);
        task_group group;
        for (tls_stream* side : {&pair.client, &pair.server, &pair.client})
            group.spawn([side] { side->handshake(); });
        with_timeout(5s, [&] { group.join(); });
    });
}

// Both sides begin with more than there is room for. Readers wait for the handshake to be sent, not for what a writer has added
// since.
TEST_F(tls, the_first_transfers_go_both_ways) {
    coir::run([] {
        const net::tls_context context = trusting_client();
        const net::tls_context server_context = good_server();
        const std::vector<std::byte> much(300'000);
        bool is_over = false;
        auto busy = spawn([&] { // slices are long, and writers come from the handshake to their data in one
            while (!is_over)
                this_fiber::yield();
        });
        for (int i = 0; i < 10; ++i) {
            auto [near, far] = net::unix_stream::pair();
            make_narrow(near.native_handle());
            make_narrow(far.native_handle());
            tls_stream client{context, std::move(near), "localhost"};
            tls_stream server{server_context, std::move(far)};
            task_group group;
            for (tls_stream* side : {&client, &server}) {
                group.spawn([&, side] { side->write_all(much); });
                group.spawn([&, side] {
                    std::vector<std::byte> buffer(much.size());
                    EXPECT_EQ(side->read_all(buffer), buffer.size());
                });
            }
            with_timeout(5s, [&] { group.join(); });
        }
        is_over = true;
        busy.join();
    });
}

// Two fibers on each stream: one writes, one reads.
void send_both_ways(tls_pair& pair, std::size_t total) {
    task_group group;
    group.spawn([&] { send_sequence(pair.client, total, 1); });
    group.spawn([&] { send_sequence(pair.server, total, 2); });
    group.spawn([&] { expect_sequence(pair.client, total, 3); });
    group.spawn([&] { expect_sequence(pair.server, total, 4); });
    group.join();
}

TEST_F(tls, both_directions_at_once) {
    coir::run([] {
        constexpr std::size_t total = 3'000'000;
        tls_pair pair = secure_pair();
        send_both_ways(pair, total);
    });
}

TEST_F(tls, both_directions_through_small_buffers) {
    coir::run([] {
        constexpr std::size_t total = 200'000;
        tls_pair pair = connect_tls();
        make_narrow(pair.client.native_handle());
        make_narrow(pair.server.native_handle());
        send_both_ways(pair, total);
    });
}

// Either side changes its keys, and asks the other to, while both are reading and writing.
TEST_F(tls, new_keys_meanwhile) {
    coir::run([] {
        constexpr std::size_t total = 500'000;
        tls_pair pair = secure_pair();
        make_narrow(pair.client.native_handle());
        make_narrow(pair.server.native_handle());
        int updates = 0;
        int reading = 2;
        {
            task_group group;
            group.spawn([&] { send_sequence(pair.client, total, 1); });
            group.spawn([&] { send_sequence(pair.server, total, 2); });
            for (tls_stream* side : {&pair.client, &pair.server})
                group.spawn([&, side] {
                    expect_sequence(*side, total, 3);
                    --reading;
                });
            bool of_client = false;
            while (reading == 2) {
                of_client = !of_client;
                updates +=
                    SSL_key_update((of_client ? pair.client : pair.server).native_tls(), SSL_KEY_UPDATE_REQUESTED);
                this_fiber::yield();
            }
        }
        EXPECT_GT(updates, 10);
        ERR_clear_error();
    });
}

TEST_F(tls, pieces) {
    coir::run([] {
        tls_pair pair = secure_pair();
        const std::vector<std::byte> much(100'000, std::byte{7});
        const std::array<io::const_buffer, 5> out{
            {{"head", 4}, {"", 0}, {much.data(), much.size()}, {"ta", 2}, {"il", 2}}};
        auto writer = spawn([&] { return pair.client.writev(out, 10s); });
        std::string start(4, '\0');
        std::vector<std::byte> middle(much.size());
        std::string end(4, '\0');
        const std::array<io::mutable_buffer, 3> first{{{start.data(), 1}, {nullptr, 0}, {start.data() + 1, 3}}};
        EXPECT_EQ(pair.server.readv(first, 10s), 4U) << "there is a record, and it goes on in the second piece";
        EXPECT_EQ(start, "head");
        EXPECT_EQ(pair.server.read_all(middle, 10s), much.size());
        EXPECT_EQ(middle, much);
        EXPECT_EQ(pair.server.read_all(std::as_writable_bytes(std::span{end}), 10s), 4U);
        EXPECT_EQ(end, "tail");
        EXPECT_EQ(writer.join(), 8 + much.size());
    });
}

TEST_F(tls, over_a_unix_socket) {
    coir::run([] {
        const auto say_hello = [](tls_stream client, tls_stream server) {
            auto far = spawn([&] { server.write_all(bytes_of("hello"), 5s); });
            std::array<std::byte, 5> buffer{};
            EXPECT_EQ(client.read_all(buffer, 5s), 5U);
            far.join();
        };
        auto [near, far] = net::unix_stream::pair();
        say_hello({trusting_client(), std::move(near), "localhost"}, {good_server(), std::move(far)});
        ends sockets = make_sockets();
        say_hello({trusting_client(), io::descriptor{sockets.read.take()}, "localhost"},
                  {good_server(), io::descriptor{sockets.write.take()}});
    });
}

TEST_F(tls, close_notify_is_the_end) {
    coir::run([] {
        tls_pair pair = secure_pair();
        std::array<std::byte, 8> buffer{};
        pair.client.write_all(bytes_of("bye"), 5s);
        pair.client.shutdown_write(5s);
        pair.client.shutdown_write(5s);
        EXPECT_EQ(thrown_by([&] { pair.client.write_all(bytes_of("more"), 5s); }), std::errc::broken_pipe);
        EXPECT_EQ(pair.server.read_all(buffer, 5s), 3U);
        EXPECT_EQ(pair.server.read_some(buffer, 5s), 0U);
        EXPECT_EQ(pair.server.read_some(buffer, 5s), 0U) << "and remains so";
        // The other direction goes on.
        pair.server.write_all(bytes_of("still here"), 5s);
        EXPECT_EQ(pair.client.read_all(buffer, 5s), 8U);
        pair.server.close();
        EXPECT_EQ(pair.client.read_all(buffer, 5s), 2U);
        EXPECT_EQ(pair.client.read_some(buffer, 5s), 0U);
    });
}

TEST_F(tls, an_end_without_close_notify_is_none) {
    coir::run([] {
        // Cut by somebody in between, and by a destructor: of a function that an exception has left, perhaps.
        for (const bool destroyed : {false, true}) {
            tls_pair pair = secure_pair();
            std::array<std::byte, 8> buffer{};
            // What it has not read would make the kernel send a reset: the session's tickets.
            pair.server.write_all(bytes_of("x"), 5s);
            pair.client.read_some(buffer, 5s);
            pair.client.write_all(bytes_of("part"), 5s);
            if (destroyed)
                pair.client = {};
            else
                ::shutdown(pair.client.native_handle(), SHUT_WR);
            std::error_code error;
            EXPECT_EQ(pair.server.read_all(buffer, error, 5s), 4U) << "what came before is delivered";
            EXPECT_EQ(error, tls_errc::truncated);
            EXPECT_EQ(pair.server.read_some(buffer, error, 5s), 0U);
            EXPECT_EQ(error, tls_errc::truncated) << "and remains so";
            EXPECT_EQ(thrown_by([&] { pair.server.write_all(buffer, 5s); }), tls_errc::truncated);
        }
    });
}

// The connection itself stays open and silent: nothing but the first reader tells the second one.
TEST_F(tls, the_end_and_errors_are_for_all_readers) {
    coir::run([] {
        for (const auto& [version, is_end] : {std::pair{TLS1_2_VERSION, true},
                                              {TLS1_2_VERSION, false},
                                              {TLS1_3_VERSION, true},
                                              {TLS1_3_VERSION, false}}) {
            tls_pair pair = connect_tls();
            SSL_set_max_proto_version(pair.client.native_tls(), version);
            ASSERT_FALSE(shake_hands(pair).client);
            const auto read = [&] {
                std::array<std::byte, 8> buffer{};
                return error_of([&](auto& error) { EXPECT_EQ(pair.server.read_some(buffer, error), 0U); });
            };
            auto first = spawn(read);
            auto second = spawn(read);
            this_fiber::yield();
            if (is_end) {
                ASSERT_EQ(SSL_shutdown(pair.client.native_tls()), 0);
                pair.client.write_all({});
            } else {
                const std::string forged = std::string("\x17\x03\x03\x00\x20", 5) + std::string(32, 'x');
                ASSERT_EQ(::send(pair.client.native_handle(), forged.data(), forged.size(), 0), 37);
            }
            const std::error_code error = first.join(5s);
            EXPECT_EQ(static_cast<bool>(error), !is_end) << error.message();
            EXPECT_EQ(second.join(5s), error);
        }
    });
}

// A record that has half arrived when the deadline passes, or the reader is cancelled, is read by the next call.
TEST_F(tls, interrupted_reads_lose_nothing) {
    coir::run([] {
        tls_pair pair = secure_pair();
        make_narrow(pair.client.native_handle());
        constexpr std::size_t total = 300'000;
        auto writer = spawn([&] { send_sequence(pair.client, total, 5); });
        std::vector<std::byte> buffer(20'000);
        std::size_t done = 0;
        std::size_t interrupted = 0;
        for (int turn = 0; done < total; ++turn) {
            std::error_code error;
            std::size_t n = 0;
            if (turn % 3 == 0) {
                n = pair.server.read_some(buffer, error, deadline::passed());
                interrupted += error == std::errc::timed_out;
            } else if (turn % 3 == 1) {
                auto reader = spawn([&] { n = pair.server.read_some(buffer, error); });
                this_fiber::yield();
                reader.cancel();
                reader.wait();
                interrupted += error == std::errc::operation_canceled;
            } else {
                n = pair.server.read_some(buffer, error, 20s);
                ASSERT_FALSE(error) << error.message();
            }
            for (std::size_t i = 0; i < n; ++i)
                ASSERT_EQ(buffer[i], byte_at(done++)) << done;
        }
        EXPECT_GT(interrupted, 0U);
        writer.join();
    });
}

// What an interrupted write says it has moved arrives, once and in order, also when it ended in the middle of a record.
TEST_F(tls, interrupted_writes_lose_nothing) {
    coir::run([] {
        tls_pair pair = secure_pair();
        make_narrow(pair.client.native_handle());
        make_narrow(pair.server.native_handle());
        constexpr std::size_t total = 300'000;
        std::vector<std::byte> all(total);
        for (std::size_t i = 0; i < total; ++i)
            all[i] = byte_at(i);
        auto reader = spawn([&] { expect_sequence(pair.server, total, 6); });
        std::size_t done = 0;
        std::size_t interrupted = 0;
        std::mt19937 random{7};
        for (int turn = 0; done < total; ++turn) {
            const auto next = std::span{all}.subspan(done, std::min<std::size_t>(1 + random() % 40'000, total - done));
            std::error_code error;
            if (turn % 2 == 0) {
                done += pair.client.write_all(next, error, deadline::passed());
                interrupted += error == std::errc::timed_out;
            } else {
                auto writer = spawn([&] { done += pair.client.write_all(next, error); });
                this_fiber::yield();
                writer.cancel();
                writer.wait();
                interrupted += error == std::errc::operation_canceled;
            }
            this_fiber::yield();
        }
        // What is still in the stream goes with the next write, or with this.
        pair.client.shutdown_write(20s);
        EXPECT_GT(interrupted, 0U);
        reader.join();
    });
}

// Records that go alone, until the socket has room for a part of one only.
TEST_F(tls, what_a_full_socket_does_not_take_of_a_record_is_kept) {
    coir::run([] {
        for (const std::size_t size : {16'384U, 10'000U, 7'001U, 333U}) {
            tls_pair pair = secure_pair();
            const int room = 100'000;
            ::setsockopt(pair.client.native_handle(), SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
            std::vector<std::byte> record(size);
            std::size_t total = 0;
            for (std::error_code error; !error;) {
                for (std::byte& byte : record)
                    byte = byte_at(total++);
                EXPECT_EQ(pair.client.write_all(record, error, deadline::passed()), size);
            }
            auto reader = spawn([&] { expect_sequence(pair.server, total, 8); });
            pair.client.write_all({}, 20s);
            pair.client.shutdown_write(20s);
            reader.join();
        }
    });
}

TEST_F(tls, an_empty_write_sends_what_is_left) {
    coir::run([] {
        for (const bool in_pieces : {false, true}) {
            tls_pair pair = secure_pair();
            make_narrow(pair.client.native_handle());
            std::vector<std::byte> sent(60'000, std::byte{1});
            std::error_code error;
            while (!error)
                EXPECT_EQ(pair.client.write_some(sent, error, deadline::passed()), sent.size());
            EXPECT_EQ(error, std::errc::timed_out);
            EXPECT_EQ(thrown_by([&] { pair.client.write_all({}, deadline::passed()); }), std::errc::timed_out);
            auto reader = spawn([&] {
                std::size_t size = 0;
                std::vector<std::byte> buffer(100'000);
                while (const std::size_t n = pair.server.read_some(buffer, error, 100ms))
                    size += n;
                return size;
            });
            if (in_pieces)
                pair.client.writev({}, 5s);
            else
                pair.client.write_all({}, 5s);
            pair.client.shutdown_write(5s);
            EXPECT_EQ(reader.join() % sent.size(), 0U);
        }
    });
}

TEST_F(tls, deadlines_and_cancellation) {
    coir::run([] {
        tls_pair pair = secure_pair();
        std::array<std::byte, 8> buffer{};
        EXPECT_EQ(thrown_by([&] { pair.client.read_some(buffer, 1ms); }), std::errc::timed_out);
        const std::vector<std::byte> much(20'000'000);
        try {
            pair.client.write_all(much, 5ms);
            ADD_FAILURE() << "nobody reads";
        } catch (const io::transfer_error& failure) {
            EXPECT_EQ(failure.code(), std::errc::timed_out);
            EXPECT_GT(failure.bytes_transferred(), 0U);
            EXPECT_NE(std::string{failure.what()}.find("net::tls_stream::write_all with localhost (127.0.0.1:"),
                      std::string::npos);
        }
        EXPECT_EQ(thrown_by([&] { pair.client.shutdown_write(1ms); }), std::errc::timed_out) << "behind what is stored";
        auto reader = spawn([&] { pair.client.read_some(buffer); });
        auto writer = spawn([&] { pair.client.write_all(buffer); });
        this_fiber::sleep_for(1ms);
        reader.cancel();
        writer.cancel();
        EXPECT_THROW(reader.join(), cancelled);
        EXPECT_EQ(thrown_by([&] { writer.join(); }), std::errc::broken_pipe) << "it had been shut down";
    });
}

TEST_F(tls, closing_wakes_who_waits) {
    coir::run([] {
        tls_pair pair = secure_pair();
        std::array<std::byte, 8> buffer{};
        auto reader = spawn([&] { return error_of([&](auto& error) { pair.client.read_some(buffer, error); }); });
        this_fiber::yield();
        pair.client.close();
        EXPECT_EQ(reader.join(), std::errc::bad_file_descriptor);
        EXPECT_EQ(thrown_by([&] { pair.client.read_some(buffer); }), std::errc::bad_file_descriptor);
        EXPECT_EQ(thrown_by([&] { pair.client.write_all(buffer); }), std::errc::bad_file_descriptor);
        EXPECT_EQ(thrown_by([&] { pair.client.shutdown_write(); }), std::errc::bad_file_descriptor);
        pair.client.close();
        auto other = spawn([&] {
            return error_of([&](auto& error) { pair.server.write_all(std::vector<std::byte>(9'000'000), error); });
        });
        this_fiber::yield();
        pair.server = {}; // destroyed under it
        EXPECT_TRUE(other.join());
    });
}

TEST_F(tls, not_connected) {
    tls_stream none;
    EXPECT_FALSE(none);
    EXPECT_EQ(none.native_handle(), -1);
    EXPECT_EQ(none.protocol() + none.cipher() + none.version() + none.server_name() + none.peer_certificate(), "");
    EXPECT_FALSE(none.session());
    EXPECT_FALSE(none.session_reused());
    std::array<std::byte, 8> buffer{};
    std::error_code error;
    none.read_some(buffer, error);
    EXPECT_EQ(error, std::errc::operation_not_permitted) << "outside run";
    EXPECT_THROW(none.read_some(buffer), std::logic_error);
    coir::run([&] {
        EXPECT_EQ(thrown_by([&] { none.handshake(); }), std::errc::bad_file_descriptor);
        EXPECT_EQ(thrown_by([&] { none.read_some(buffer); }), std::errc::bad_file_descriptor);
        none.close();
    });
}

// A session goes on, in any number of connections; each gives another.
TEST_F(tls, resumption) {
    coir::run([] {
        const net::tls_context client = trusting_client();
        const net::tls_context server = good_server();
        tls_session session;
        for (int turn = 0; turn < 3; ++turn) {
            tls_pair pair = connect_tls(client, server, "localhost", session);
            ASSERT_FALSE(shake_hands(pair).client);
            EXPECT_EQ(pair.client.session_reused(), turn != 0);
            EXPECT_EQ(pair.server.session_reused(), turn != 0);
            pair.server.write_all(bytes_of("x"), 5s);
            std::array<std::byte, 1> byte{};
            pair.client.read_all(byte, 5s);
            session = pair.client.session();
            EXPECT_TRUE(session);
            EXPECT_FALSE(pair.server.session()) << "that is the client's";
        }
        // Another host, though the certificate is good for it: the session was not looked at for that name.
        tls_pair other = connect_tls(client, server, "127.0.0.1", session);
        EXPECT_FALSE(shake_hands(other).client);
        EXPECT_FALSE(other.client.session_reused());
        // A server that does not know the session.
        tls_pair stranger = connect_tls(client, good_server(), "localhost", session);
        EXPECT_FALSE(shake_hands(stranger).client);
        EXPECT_FALSE(stranger.client.session_reused());
    });
}

// OpenSSL's error queue is the thread's (hazard D4): one fiber fails all the time, another must not see it.
TEST_F(tls, failures_of_one_fiber_are_not_seen_by_another) {
    coir::run([] {
        const net::tls_context client = trusting_client();
        const net::tls_context bad = server_of(authority::self_signed());
        tls_pair pair = secure_pair();
        make_narrow(pair.client.native_handle());
        bool done = false;
        int failures = 0;
        task_group group;
        group.spawn([&] {
            while (!done) {
                tls_pair failing = connect_tls(client, bad);
                failures += shake_hands(failing).client == tls_errc::certificate_self_signed;
                ERR_raise(ERR_LIB_SSL, SSL_R_BAD_PACKET); // and what others may leave
            }
        });
        group.spawn([&] { send_sequence(pair.client, 300'000, 8); });
        group.spawn([&] {
            expect_sequence(pair.server, 300'000, 9);
            done = true;
        });
        group.join();
        EXPECT_GT(failures, 1);
        ERR_clear_error();
    });
}

// Many connections, each with readers and writers that come and go.
TEST_F(tls, many_connections) {
    coir::run([] {
        const net::tls_context client = trusting_client();
        const net::tls_context server = good_server();
        task_group group;
        for (unsigned i = 0; i < 20; ++i)
            group.spawn([&, i] {
                tls_pair pair = connect_tls(client, server);
                auto far = spawn([&] {
                    std::vector<std::byte> buffer(5'000);
                    while (const std::size_t n = pair.server.read_some(buffer, 20s))
                        pair.server.write_all(std::span{buffer}.first(n), 20s);
                    pair.server.shutdown_write(20s);
                });
                auto writer = spawn([&] {
                    send_sequence(pair.client, 30'000, i);
                    pair.client.shutdown_write(20s);
                });
                expect_sequence(pair.client, 30'000, i + 100);
                std::array<std::byte, 1> byte{};
                EXPECT_EQ(pair.client.read_some(byte, 20s), 0U);
                writer.join();
                far.join();
            });
    });
}

} // namespace
} // namespace coir::test
