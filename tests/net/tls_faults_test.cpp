#include "net/tls_pair.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <utility>

namespace coir::test {
namespace {

using net::tls_errc;
using net::tls_stream;
using tls_faults = descriptors;

// A client whose peer is this test, by hand.
struct half {
    tls_stream client;
    net::tcp_stream far;
};

half client_alone() {
    tcp_pair made = connect_tcp();
    return {tls_stream{trusting_client(), std::move(made.near), "localhost"}, std::move(made.far)};
}

half server_alone() {
    tcp_pair made = connect_tcp();
    return {tls_stream{good_server(), std::move(made.near)}, std::move(made.far)};
}

TEST_F(tls_faults, a_silent_peer) {
    coir::run([] {
        for (half (*make)() : {client_alone, server_alone}) {
            half made = make();
            EXPECT_EQ(thrown_by([&] { made.client.handshake(1ms); }), std::errc::timed_out);
            std::array<std::byte, 8> buffer{};
            EXPECT_EQ(thrown_by([&] { made.client.read_some(buffer, 1ms); }), std::errc::timed_out);
            EXPECT_EQ(thrown_by([&] { made.client.write_all(buffer, 1ms); }), std::errc::timed_out);
            auto thrower = spawn([&] { made.client.handshake(); });
            auto reporter = spawn([&] { return error_of([&](auto& error) { made.client.handshake(error); }); });
            this_fiber::yield();
            thrower.cancel();
            reporter.cancel();
            EXPECT_THROW(thrower.join(), cancelled);
            EXPECT_EQ(reporter.join(), std::errc::operation_canceled);
        }
    });
}

// A handshake that was interrupted goes on.
TEST_F(tls_faults, a_handshake_in_pieces) {
    coir::run([] {
        tls_pair pair = connect_tls();
        auto client = spawn([&] { pair.client.handshake(20s); });
        int interrupted = 0;
        for (std::error_code error = std::make_error_code(std::errc::timed_out); error; this_fiber::yield()) {
            pair.server.handshake(error, deadline::passed());
            if (error) {
                ASSERT_EQ(error, std::errc::timed_out) << error.message();
            }
            ++interrupted;
        }
        EXPECT_GT(interrupted, 1);
        client.join();
    });
}

TEST_F(tls_faults, garbage_instead_of_a_hello) {
    coir::run([] {
        for (half (*make)() : {client_alone, server_alone}) {
            half made = make();
            made.far.write_all(bytes_of("GET / HTTP/1.0\r\n\r\nHTTP/1.0 400 Bad Request\r\n\r\n"), 5s);
            std::error_code first;
            made.client.handshake(first, 5s);
            EXPECT_EQ(first.category(), net::tls_category()) << first.message();
            EXPECT_EQ(error_of([&](auto& error) { made.client.handshake(error, 5s); }), first) << "and remains so";
        }
    });
}

TEST_F(tls_faults, an_end_in_the_middle_of_the_handshake) {
    coir::run([] {
        for (half (*make)() : {client_alone, server_alone}) {
            half made = make();
            made.far.write_all(bytes_of("\x16\x03"), 5s); // the beginning of a record
            made.far.shutdown_write();
            EXPECT_EQ(error_of([&](auto& error) { made.client.handshake(error, 5s); }), tls_errc::truncated);
        }
    });
}

TEST_F(tls_faults, a_reset_in_the_middle_of_the_handshake) {
    coir::run([] {
        for (half (*make)() : {client_alone, server_alone}) {
            half made = make();
            auto side = spawn([&] { return error_of([&](auto& error) { made.client.handshake(error, 5s); }); });
            this_fiber::yield();
            reset_on_close(made.far.native_handle());
            made.far.close();
            EXPECT_EQ(side.join(), std::errc::connection_reset);
            std::array<std::byte, 8> buffer{};
            EXPECT_EQ(thrown_by([&] { made.client.read_some(buffer, 5s); }), std::errc::connection_reset);
            EXPECT_EQ(thrown_by([&] { made.client.write_all(buffer, 5s); }), std::errc::connection_reset);
        }
    });
}

TEST_F(tls_faults, a_reset_in_the_middle_of_a_record) {
    coir::run([] {
        for (const bool reader_first : {true, false}) {
            tls_pair pair = secure_pair();
            make_narrow(pair.client.native_handle());
            const std::vector<std::byte> much(9'000'000);
            std::vector<std::byte> buffer(100'000);
            fiber<std::error_code> reader;
            const auto start_reader = [&] {
                reader = spawn([&] { return error_of([&](auto& error) { pair.client.read_all(buffer, error, 5s); }); });
                this_fiber::yield();
            };
            if (reader_first)
                start_reader();
            auto writer = spawn([&] { return error_of([&](auto& error) { pair.client.write_all(much, error, 5s); }); });
            if (!reader_first)
                start_reader();
            // The header of a record, and a few of its bytes.
            ASSERT_EQ(::send(pair.server.native_handle(),
                             "\x17\x03\x03\x40\x00"
                             "half",
                             9, 0),
                      9);
            this_fiber::sleep_for(2ms);
            reset_on_close(pair.server.native_handle());
            pair.server = {};
            EXPECT_EQ(reader.join(), std::errc::connection_reset);
            EXPECT_EQ(writer.join(), std::errc::connection_reset);
            EXPECT_EQ(thrown_by([&] { pair.client.read_some(buffer); }), std::errc::connection_reset);
            EXPECT_EQ(thrown_by([&] { pair.client.write_some(buffer); }), std::errc::connection_reset);
        }
    });
}

// A record that goes alone is sent while it is made; the system tells why it could not be only once.
TEST_F(tls_faults, a_reset_before_one_record) {
    coir::run([] {
        tls_pair pair = secure_pair();
        reset_on_close(pair.server.native_handle());
        pair.server = {};
        const std::array<std::byte, 100> few{};
        EXPECT_EQ(thrown_by([&] { pair.client.write_all(few, 5s); }), std::errc::connection_reset);
    });
}

TEST_F(tls_faults, a_forged_record) {
    coir::run([] {
        tls_pair pair = secure_pair();
        ASSERT_EQ(::send(pair.server.native_handle(),
                         "\x17\x03\x03\x00\x20"
                         "forged forged forged forged forg",
                         37, 0),
                  37);
        std::array<std::byte, 8> buffer{};
        std::error_code error;
        EXPECT_EQ(pair.client.read_some(buffer, error, 5s), 0U);
        EXPECT_NE(error.message().find("bad record mac"), std::string::npos) << error.message();
        EXPECT_EQ(error_of([&](auto& again) { pair.client.write_all(buffer, again, 5s); }), error);
        // The peer has been told.
        pair.server.read_some(buffer, error, 5s);
        EXPECT_NE(error.message().find("alert bad record mac"), std::string::npos) << error.message();
    });
}

// A server made of OpenSSL alone, whose ticket comes in two records, so that it can be sent by halves.
class halting_server {
public:
    explicit halting_server(int socket) : socket_(socket) {
        SSL_CTX* const made = context_.native_handle();
        SSL_CTX_set_session_ticket_cb(made, fill_ticket, use_no_ticket, nullptr);
        SSL_CTX_set_max_send_fragment(made, 512);
        SSL_CTX_set_num_tickets(made, 1);
        tls_.reset(SSL_new(made));
        SSL_set_bio(tls_.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
        SSL_set_accept_state(tls_.get());
    }

    // All but the ticket has been sent.
    [[nodiscard]] bool step() {
        receive();
        SSL_do_handshake(tls_.get());
        ERR_clear_error();
        if (SSL_is_init_finished(tls_.get())) {
            ticket_ = take_output();
            return true;
        }
        send(take_output());
        return false;
    }
    void send_first_record() {
        const std::size_t size =
            5 + static_cast<unsigned char>(ticket_[3]) * 256U + static_cast<unsigned char>(ticket_[4]);
        ASSERT_LT(size, ticket_.size());
        send(ticket_.substr(0, size));
        ticket_.erase(0, size);
    }
    void send_rest_and(std::string_view text) {
        if (!text.empty()) {
            ASSERT_EQ(SSL_write(tls_.get(), text.data(), static_cast<int>(text.size())), static_cast<int>(text.size()));
        }
        send(std::exchange(ticket_, {}) + take_output());
    }
    // What the client has written, and "." when it has said that this was all.
    [[nodiscard]] std::string received() {
        receive();
        std::array<char, 100> text{};
        const int size = SSL_read(tls_.get(), text.data(), static_cast<int>(text.size()));
        const bool is_end = SSL_get_error(tls_.get(), size) == SSL_ERROR_ZERO_RETURN;
        ERR_clear_error();
        return size > 0 ? std::string(text.data(), static_cast<std::size_t>(size)) : is_end ? "." : "";
    }

private:
    struct free_it {
        void operator()(SSL* object) const { SSL_free(object); }
    };

    static int fill_ticket(SSL* tls, void*) {
        static const std::string much(1'500, 'x');
        return SSL_SESSION_set1_ticket_appdata(SSL_get_session(tls), much.data(), much.size());
    }
    static SSL_TICKET_RETURN use_no_ticket(SSL*, SSL_SESSION*, const unsigned char*, std::size_t, SSL_TICKET_STATUS,
                                           void*) {
        return SSL_TICKET_RETURN_IGNORE;
    }
    void receive() {
        std::array<char, 10'000> bytes{};
        for (ssize_t n = 0; (n = ::recv(socket_, bytes.data(), bytes.size(), MSG_DONTWAIT)) > 0;)
            BIO_write(SSL_get_rbio(tls_.get()), bytes.data(), static_cast<int>(n));
    }
    std::string take_output() {
        char* data = nullptr;
        const long size = BIO_get_mem_data(SSL_get_wbio(tls_.get()), &data);
        std::string taken(data, static_cast<std::size_t>(size));
        BIO_reset(SSL_get_wbio(tls_.get()));
        return taken;
    }
    void send(const std::string& bytes) const {
        ASSERT_EQ(::send(socket_, bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
    }

    const int socket_;
    const net::tls_context context_ = good_server();
    std::unique_ptr<SSL, free_it> tls_;
    std::string ticket_;
};

// While half a ticket has been received nothing can be written. A writer that fetches the other half must not leave a reader
// waiting that it was for, nor the reader the writer.
TEST_F(tls_faults, half_a_ticket) {
    for (const std::string data : {"hello", ""})
        for (const bool shuts_down : {false, true})
            for (const bool writer_waits : {false, true})
                coir::run([&] {
                    SCOPED_TRACE(data + (shuts_down ? " shuts down" : "") + (writer_waits ? " waits" : ""));
                    ends sockets = make_sockets();
                    halting_server server{sockets.write.get()};
                    tls_stream client{trusting_client(), io::descriptor{sockets.read.take()}, "localhost"};
                    auto shaking = spawn([&] { client.handshake(20s); });
                    for (int i = 0; i < 10'000 && !server.step(); ++i)
                        this_fiber::yield();
                    shaking.join();
                    std::array<std::byte, 5> buffer{};
                    server.send_first_record();
                    EXPECT_EQ(error_of([&](auto& error) { client.read_some(buffer, error, 1ms); }),
                              std::errc::timed_out);
                    std::error_code result;
                    const auto start = std::chrono::steady_clock::now();
                    auto reader =
                        spawn([&] { return client.read_some(buffer, result, data.empty() ? 200ms : 10000ms); });
                    this_fiber::yield();
                    auto writer = spawn([&] {
                        if (shuts_down)
                            client.shutdown_write(5s);
                        else
                            client.write_all(bytes_of("x"), 5s);
                    });
                    if (writer_waits)
                        this_fiber::yield();
                    server.send_rest_and(data); // the writer runs before the loop looks at the socket
                    writer.join();
                    EXPECT_EQ(server.received(), shuts_down ? "." : "x");
                    EXPECT_EQ(reader.join(), data.size());
                    EXPECT_EQ(static_cast<bool>(result), data.empty()) << result.message();
                    EXPECT_LT(std::chrono::steady_clock::now() - start, 4s) << "what is there is read after a deadline";
                });
}

// After the first half of a ticket.
struct halted_client {
    halted_client() {
        auto shaking = spawn([&] { client.handshake(20s); });
        for (int i = 0; i < 10'000 && !server.step(); ++i)
            this_fiber::yield();
        shaking.join();
        server.send_first_record();
        std::array<std::byte, 1> buffer{};
        EXPECT_EQ(error_of([&](auto& error) { client.read_some(buffer, error, 1ms); }), std::errc::timed_out);
    }

    ends sockets = make_sockets();
    halting_server server{sockets.write.get()};
    tls_stream client{trusting_client(), io::descriptor{sockets.read.take()}, "localhost"};
};

// Nor does a writer that has given up keep a reader, and with it the thread, looking.
TEST_F(tls_faults, who_has_given_up_waiting_for_the_rest_of_a_ticket) {
    coir::run([] {
        halted_client halted;
        std::array<std::byte, 1> buffer{};
        EXPECT_EQ(error_of([&](auto& error) { halted.client.write_all(bytes_of("x"), error, 5ms); }),
                  std::errc::timed_out);
        EXPECT_EQ(error_of([&](auto& error) { halted.client.read_some(buffer, error, 5ms); }), std::errc::timed_out);
    });
}

// In whatever order they have come: the rest of the ticket lets every writer go on, and leaves no reader out.
TEST_F(tls_faults, many_wait_for_the_rest_of_a_ticket) {
    for (const std::string_view order : {"rrw", "wrw", "wwr", "rww", "rwrw", "wrrw"})
        coir::run([&] {
            SCOPED_TRACE(order);
            halted_client halted;
            std::vector<fiber<std::error_code>> readers;
            std::vector<fiber<std::error_code>> writers;
            for (const char each : order) {
                if (each == 'r')
                    readers.push_back(spawn([&] {
                        std::array<std::byte, 5> buffer{};
                        return error_of([&](auto& error) { halted.client.read_some(buffer, error, 4s); });
                    }));
                else
                    writers.push_back(spawn([&] {
                        return error_of([&](auto& error) { halted.client.write_all(bytes_of("x"), error, 2s); });
                    }));
                this_fiber::yield();
            }
            halted.server.send_rest_and("");
            std::string received;
            for (auto& each : writers) {
                EXPECT_FALSE(each.join());
                received += halted.server.received();
            }
            EXPECT_EQ(received.size(), writers.size());
            for (auto& each : readers) {
                halted.server.send_rest_and("hello");
                EXPECT_FALSE(each.join());
            }
        });
}

// One says that there will be no more, while another waits in the same place to write.
TEST_F(tls_faults, shut_down_while_half_a_ticket_keeps_a_writer_waiting) {
    coir::run([] {
        halted_client halted;
        auto ending = spawn([&] { halted.client.shutdown_write(2s); });
        this_fiber::yield();
        auto writer =
            spawn([&] { return error_of([&](auto& error) { halted.client.write_all(bytes_of("x"), error, 2s); }); });
        this_fiber::yield();
        halted.server.send_rest_and("hello");
        ending.join();
        EXPECT_EQ(writer.join(), std::errc::broken_pipe);
        EXPECT_EQ(halted.server.received(), ".");
        std::array<std::byte, 5> buffer{};
        EXPECT_EQ(halted.client.read_all(buffer, 2s), 5U) << "the other direction goes on";
    });
}

// Each of them encrypts as much as waits to be sent at the most.
TEST_F(tls_faults, half_a_ticket_keeps_several_writers_of_much_waiting) {
    coir::run([] {
        constexpr std::size_t much = 64 * 1024;
        halted_client halted;
        make_narrow(halted.client.native_handle());
        std::vector<fiber<std::error_code>> writers;
        for (int i = 0; i < 3; ++i) {
            writers.push_back(spawn([&] {
                return error_of(
                    [&](auto& error) { halted.client.write_all(std::vector<std::byte>(much), error, 10s); });
            }));
            this_fiber::yield();
        }
        halted.server.send_rest_and("");
        std::size_t received = 0;
        const deadline until = 5s;
        while (received < writers.size() * much && !until.has_passed()) {
            this_fiber::yield();
            received += halted.server.received().size();
        }
        EXPECT_EQ(received, writers.size() * much);
        for (auto& each : writers)
            EXPECT_FALSE(each.join());
    });
}

// New keys, and the wish for the other's, `count` times and with nothing in between.
void change_keys(tls_stream& side, int count) {
    for (int i = 0; i < count; ++i) {
        ASSERT_EQ(SSL_key_update(side.native_tls(), SSL_KEY_UPDATE_REQUESTED), 1);
        ASSERT_EQ(SSL_do_handshake(side.native_tls()), 1);
    }
    std::error_code ignored;
    side.write_all({}, ignored, deadline::passed());
}

// A step would otherwise last as long as the peer goes on, and no fiber of the thread would run.
TEST_F(tls_faults, a_peer_that_only_changes_keys) {
    coir::run([] {
        tls_pair pair = secure_pair();
        std::array<std::byte, 8> buffer{};
        change_keys(pair.client, 20);
        pair.client.write_all(bytes_of("fine"), 5s);
        EXPECT_EQ(pair.server.read_some(buffer, 5s), 4U) << "some are no harm";
        change_keys(pair.client, 1000);
        EXPECT_EQ(thrown_by([&] { pair.server.read_some(buffer, 5s); }), tls_errc::flooded);
        EXPECT_EQ(thrown_by([&] { pair.server.write_all(buffer, 5s); }), tls_errc::flooded) << "and remains so";
        EXPECT_NE(std::error_code{tls_errc::flooded}.message().find("flooded"), std::string::npos);
    });
}

// The answers must not pile up without end.
TEST_F(tls_faults, a_peer_that_asks_for_new_keys_and_reads_none) {
    coir::run([] {
        tls_pair pair = secure_pair();
        make_narrow(pair.server.native_handle());
        const std::vector<std::byte> much(64 * 1024);
        std::array<std::byte, 8> buffer{};
        std::error_code error;
        while (!error) // until the sockets are full
            pair.server.write_some(much, error, deadline::passed());
        ASSERT_EQ(error, std::errc::timed_out);
        int asked = 0;
        for (; error == std::errc::timed_out && asked < 10'000; asked += 25) {
            change_keys(pair.client, 25);
            pair.server.read_some(buffer, error, deadline::passed());
        }
        EXPECT_EQ(error, tls_errc::flooded) << error.message();
        EXPECT_GT(asked, 1'000);
    });
}

// SIGPIPE has its default action here: it would end the test.
TEST_F(tls_faults, a_peer_that_has_gone_raises_no_signal) {
    EXPECT_EQ(in_child([] {
                  bool failed = false;
                  coir::run([&] {
                      tls_pair pair = secure_pair();
                      pair.server = {};
                      std::error_code error;
                      for (int i = 0; i < 10 && !error; ++i) // one record at a time
                          pair.client.write_all(bytes_of("x"), error, 5s);
                      pair = secure_pair();
                      pair.server = {};
                      error.clear();
                      const std::vector<std::byte> much(1'000'000);
                      for (int i = 0; i < 10 && !error; ++i)
                          pair.client.write_all(much, error, 5s);
                      failed = error == std::errc::broken_pipe || error == std::errc::connection_reset;
                  });
                  return failed ? 0 : 1;
              }),
              0);
}

// Both have taken leave, but one has not waited for the other: its kernel answers with a reset.
TEST_F(tls_faults, the_last_word_to_a_peer_that_has_closed) {
    coir::run([] {
        tls_pair pair = secure_pair();
        pair.client.shutdown_write(5s);
        pair.client.close();
        std::array<std::byte, 1> buffer{};
        EXPECT_EQ(pair.server.read_some(buffer, 5s), 0U);
        pair.server.shutdown_write(5s);
        EXPECT_EQ(error_of([&](auto& error) { pair.server.write_all(buffer, error); }), std::errc::broken_pipe);
    });
}

// A cancelled fiber leaves at every call, and the connection is as it was.
TEST_F(tls_faults, cancelled_before_the_call) {
    coir::run([] {
        tls_pair pair = secure_pair();
        auto cancelled_one = spawn([&] {
            std::array<std::byte, 8> buffer{};
            EXPECT_THROW(this_fiber::sleep_for(10s), cancelled);
            EXPECT_THROW(pair.client.read_some(buffer), cancelled);
            EXPECT_THROW(pair.client.write_all(buffer), cancelled);
            EXPECT_THROW(pair.client.shutdown_write(), cancelled);
            EXPECT_EQ(error_of([&](auto& error) { pair.client.write_all(buffer, error); }),
                      std::errc::operation_canceled);
        });
        this_fiber::yield();
        cancelled_one.cancel();
        cancelled_one.join();
        pair.client.write_all(bytes_of("fine"), 5s);
        std::array<std::byte, 4> buffer{};
        EXPECT_EQ(pair.server.read_all(buffer, 5s), 4U);
    });
}

} // namespace
} // namespace coir::test
