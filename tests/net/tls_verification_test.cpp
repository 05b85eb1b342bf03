#include "net/tls_pair.hpp"

#include <openssl/ssl.h>

namespace coir::test {
namespace {

using net::tls_context;
using net::tls_errc;
using net::tls_stream;
using tls_verification = descriptors;

// What a client says to a server with this certificate.
std::error_code verdict(const net::tls_identity& identity, const std::string& host = "localhost") {
    return coir::run([&] {
        tls_pair pair = connect_tls(trusting_client(), server_of(identity), host);
        const both_errors errors = shake_hands(pair);
        EXPECT_EQ(static_cast<bool>(errors.client), static_cast<bool>(errors.server)) << errors.server.message();
        return errors.client;
    });
}

std::error_code verdict(const certificate_text& text, const std::string& host = "localhost") {
    return verdict(trusted_authority().issue(text), host);
}

TEST_F(tls_verification, the_right_host_is_accepted) {
    EXPECT_FALSE(verdict(certificate_text{}));
    EXPECT_FALSE(verdict(certificate_text{}, "LOCALHOST"));
    EXPECT_FALSE(verdict(certificate_text{}, "localhost.")) << "the root is no part of the name";
    EXPECT_FALSE(verdict(certificate_text{}, "127.0.0.1"));
    EXPECT_FALSE(verdict({.hosts = "DNS:*.example.org"}, "www.example.org"));
    EXPECT_FALSE(verdict({.hosts = "IP:::1"}, "::1"));
    EXPECT_FALSE(verdict({.hosts = "IP:fe80::1"}, "fe80::1%1")) << "the interface is no part of the address";
    EXPECT_EQ(verdict({.hosts = "IP:fe80::2"}, "fe80::1%1"), tls_errc::ip_address_mismatch);
}

TEST_F(tls_verification, another_host_is_refused) {
    EXPECT_EQ(verdict(certificate_text{}, "example.org"), tls_errc::hostname_mismatch);
    EXPECT_EQ(verdict({.hosts = "DNS:*.example.org"}, "example.org"), tls_errc::hostname_mismatch);
    EXPECT_EQ(verdict({.hosts = "DNS:*.example.org"}, "a.b.example.org"), tls_errc::hostname_mismatch);
    EXPECT_EQ(verdict({.hosts = "DNS:w*.example.org"}, "www.example.org"), tls_errc::hostname_mismatch);
    EXPECT_EQ(verdict(certificate_text{}, "127.0.0.2"), tls_errc::ip_address_mismatch);
    EXPECT_EQ(verdict({.hosts = "DNS:127.0.0.1"}, "127.0.0.1"), tls_errc::ip_address_mismatch) << "not a name";
}

TEST_F(tls_verification, bad_certificates_are_refused) {
    EXPECT_EQ(verdict({.first_day = -3, .last_day = -1}), tls_errc::certificate_expired);
    EXPECT_EQ(verdict({.first_day = 1, .last_day = 2}), tls_errc::certificate_not_yet_valid);
    EXPECT_EQ(verdict(authority::self_signed()), tls_errc::certificate_self_signed);
    EXPECT_EQ(verdict(authority{"somebody else"}.issue()), tls_errc::certificate_issuer_unknown);
}

TEST_F(tls_verification, the_message_names_call_host_endpoint_and_reason) {
    coir::run([] {
        tls_pair pair =
            connect_tls(trusting_client(), server_of(trusted_authority().issue({.first_day = -3, .last_day = -1})));
        auto server = spawn([&] { return error_of([&](auto& error) { pair.server.handshake(error, 20s); }); });
        const std::string where = pair.client.transport().remote_endpoint().to_string();
        std::string first;
        try {
            pair.client.handshake(20s);
            ADD_FAILURE() << "accepted";
        } catch (const std::system_error& failure) {
            first = failure.what();
            EXPECT_EQ(first, "net::tls_stream::handshake with localhost (" + where + "): certificate has expired");
            EXPECT_STREQ(failure.code().category().name(), "tls");
        }
        // The server has been told, and says so.
        EXPECT_NE(server.join().message().find("alert certificate expired"), std::string::npos);
        // And every later call.
        std::array<std::byte, 8> buffer{};
        EXPECT_EQ(thrown_by([&] { pair.client.read_some(buffer); }), tls_errc::certificate_expired);
        EXPECT_EQ(thrown_by([&] { pair.client.write_all(buffer); }), tls_errc::certificate_expired);
        EXPECT_EQ(thrown_by([&] { pair.client.handshake(); }), tls_errc::certificate_expired);
        EXPECT_EQ(thrown_by([&] { pair.client.shutdown_write(); }), tls_errc::certificate_expired);
    });
}

TEST_F(tls_verification, can_be_turned_off) {
    coir::run([] {
        const auto careless = tls_context::client({.trust = {}, .identity = {}, .protocols = {}, .verify = false});
        tls_pair pair = connect_tls(careless, server_of(authority::self_signed()), "example.org");
        EXPECT_FALSE(shake_hands(pair).client);
        tls_pair nameless = connect_tls(careless, good_server(), "");
        EXPECT_FALSE(shake_hands(nameless).client);
        EXPECT_EQ(nameless.server.server_name(), "");
    });
}

// A session that began without verification must not pass where it is wanted.
TEST_F(tls_verification, a_resumed_session_vouches_for_nothing_more) {
    coir::run([] {
        const tls_context server = server_of(authority::self_signed());
        const auto careless = tls_context::client({.trust = {}, .identity = {}, .protocols = {}, .verify = false});
        tls_pair first = connect_tls(careless, server);
        ASSERT_FALSE(shake_hands(first).client);
        first.server.write_all(bytes_of("x"), 5s);
        std::array<std::byte, 1> byte{};
        first.client.read_all(byte, 5s);
        ASSERT_TRUE(first.client.session());
        tls_pair second = connect_tls(trusting_client(), server, "localhost", first.client.session());
        EXPECT_EQ(shake_hands(second).client, tls_errc::certificate_self_signed);
    });
}

// Nor one of a context that trusts others.
TEST_F(tls_verification, a_session_is_of_its_context) {
    coir::run([] {
        const tls_context client = trusting_client();
        const tls_context server = good_server();
        tls_pair first = connect_tls(client, server);
        ASSERT_FALSE(shake_hands(first).client);
        first.server.write_all(bytes_of("x"), 5s);
        std::array<std::byte, 1> byte{};
        first.client.read_all(byte, 5s);
        net::tls_client_options others;
        others.trust.pem = authority{"another authority"}.pem();
        tls_pair second = connect_tls(tls_context::client(others), server, "localhost", first.client.session());
        EXPECT_EQ(shake_hands(second).client, tls_errc::certificate_issuer_unknown);
        EXPECT_FALSE(second.client.session_reused());
        const tls_context copy = client; // NOLINT(performance-unnecessary-copy-initialization): that is the point
        tls_pair third = connect_tls(copy, server, "localhost", first.client.session());
        EXPECT_FALSE(shake_hands(third).client);
        EXPECT_TRUE(third.client.session_reused());
    });
}

tls_context server_asking(net::client_certificate clients) {
    net::tls_server_options options;
    options.identity = trusted_authority().issue();
    options.clients = clients;
    options.trust.pem = trusted_authority().pem();
    return tls_context::server(options);
}

tls_context client_with(const net::tls_identity& identity) {
    net::tls_client_options options;
    options.trust.pem = trusted_authority().pem();
    options.identity = identity;
    return tls_context::client(options);
}

TEST_F(tls_verification, client_certificates) {
    using net::client_certificate;
    const net::tls_identity known = trusted_authority().issue({.name = "alice"});
    const net::tls_identity stranger = authority{"somebody else"}.issue({.name = "alice"});
    coir::run([&] {
        for (const client_certificate wanted : {client_certificate::request, client_certificate::require}) {
            tls_pair good = connect_tls(client_with(known), server_asking(wanted));
            EXPECT_FALSE(shake_hands(good).server);
            EXPECT_EQ(good.server.peer_certificate(), known.certificate_pem);

            tls_pair bad = connect_tls(client_with(stranger), server_asking(wanted));
            EXPECT_EQ(shake_hands(bad).server, tls_errc::certificate_issuer_unknown);

            tls_pair none = connect_tls(trusting_client(), server_asking(wanted));
            const std::error_code error = shake_hands(none).server;
            if (wanted == client_certificate::request) {
                EXPECT_FALSE(error);
                EXPECT_EQ(none.server.peer_certificate(), "");
            } else {
                EXPECT_NE(error.message().find("peer did not return a certificate"), std::string::npos)
                    << error.message();
                // In TLS 1.3 the client is done before the server has looked; it learns of it when it reads.
                std::array<std::byte, 8> buffer{};
                const std::error_code told = error_of([&](auto& e) { none.client.read_some(buffer, e, 5s); });
                EXPECT_NE(told.message().find("certificate required"), std::string::npos) << told.message();
            }
        }
        tls_pair unasked = connect_tls(client_with(known), good_server());
        EXPECT_FALSE(shake_hands(unasked).server);
        EXPECT_EQ(unasked.server.peer_certificate(), "");
    });
}

TEST_F(tls_verification, a_resumed_session_of_a_client_with_a_certificate) {
    const net::tls_identity known = trusted_authority().issue({.name = "alice"});
    coir::run([&] {
        const net::tls_context client = client_with(known);
        const net::tls_context server = server_asking(net::client_certificate::require);
        net::tls_session session;
        for (const bool resumed : {false, true}) {
            tls_pair pair = connect_tls(client, server, "localhost", session);
            ASSERT_FALSE(shake_hands(pair).server);
            EXPECT_EQ(pair.server.session_reused(), resumed);
            EXPECT_EQ(pair.server.peer_certificate(), known.certificate_pem);
            pair.server.write_all(bytes_of("x"), 5s);
            std::array<std::byte, 1> byte{};
            pair.client.read_all(byte, 5s);
            session = pair.client.session();
        }
    });
}

// OpenSSL checks no host, or any of many, or the beginning only.
TEST_F(tls_verification, a_host_is_a_whole_name) {
    using namespace std::string_literals;
    const net::tls_context client = trusting_client();
    const net::tls_context server = server_of(trusted_authority().issue({.hosts = "DNS:www.evil.example"}));
    const auto careless = tls_context::client({.trust = {}, .identity = {}, .protocols = {}, .verify = false});
    coir::run([&] {
        for (const std::string& host : {""s, "."s, ".."s, ".example"s, ".evil.example."s, "\0bank.example"s, "\0"s,
                                        "www.evil.example\0.bank.example"s, "www.evil.example\0"s})
            EXPECT_THROW(connect_tls(client, server, host), std::invalid_argument) << host;
        try {
            connect_tls(client, server, "www.evil.example\0.bank.example"s);
        } catch (const std::invalid_argument& wrong) {
            EXPECT_STREQ(wrong.what(), "net::tls_stream: a NUL in the host: \"www.evil.example\\0.bank.example\"");
        }
        EXPECT_THROW(connect_tls(careless, server, "a\0"s), std::invalid_argument);
        tls_pair unchecked = connect_tls(careless, server, ".");
        EXPECT_FALSE(shake_hands(unchecked).client);
        EXPECT_EQ(unchecked.server.server_name(), "");
    });
}

// The certificates fill the socket, and the deadline passes when the client has nothing more to hear. Its next call is a read, and
// sends the rest first.
TEST_F(tls_verification, many_certificates_of_a_client_in_a_hurry) {
    net::tls_identity known = trusted_authority().issue({.name = "alice"});
    for (int i = 0; i < 30; ++i)
        known.certificate_pem += trusted_authority().pem();
    coir::run([&] {
        auto [near, far] = net::unix_stream::pair();
        make_narrow(near.native_handle());
        tls_stream client{client_with(known), std::move(near), "localhost"};
        tls_stream server{server_asking(net::client_certificate::require), std::move(far)};
        for (tls_stream* each : {&client, &server, &client})
            EXPECT_EQ(error_of([&](auto& error) { each->handshake(error, 5ms); }), std::errc::timed_out);
        auto answer = spawn([&] { server.write_all(bytes_of("hello"), 5s); });
        std::array<std::byte, 5> buffer{};
        EXPECT_EQ(client.read_all(buffer, 5s), 5U);
        answer.join();
    });
}

// What is trusted is that of the context that accepts, whatever host the client asks for.
TEST_F(tls_verification, the_name_asked_for_does_not_choose_who_vouches) {
    using net::client_certificate;
    const authority theirs{"another authority"};
    net::tls_server_options asked;
    asked.identity = trusted_authority().issue({.hosts = "DNS:other.example"});
    asked.clients = client_certificate::request;
    asked.trust.pem = theirs.pem();
    tls_context server = server_asking(client_certificate::require);
    server.add_name("other.example", tls_context::server(asked));
    tls_context careless = good_server();
    careless.add_name("other.example", tls_context::server(asked));
    const tls_context known = client_with(trusted_authority().issue({.name = "alice"}));
    const tls_context stranger = client_with(theirs.issue({.name = "mallory"}));
    coir::run([&] {
        for (const char* host : {"localhost", "other.example"}) {
            tls_pair good = connect_tls(known, server, host);
            EXPECT_FALSE(shake_hands(good).server) << host;
            const STACK_OF(X509_NAME)* told = SSL_get_client_CA_list(good.client.native_tls());
            ASSERT_EQ(sk_X509_NAME_num(told), 1) << host;
            std::array<char, 100> name{};
            X509_NAME_oneline(sk_X509_NAME_value(told, 0), name.data(), name.size());
            EXPECT_STREQ(name.data(), "/CN=test authority") << host;

            tls_pair bad = connect_tls(stranger, server, host);
            EXPECT_EQ(shake_hands(bad).server, tls_errc::certificate_issuer_unknown) << host;
            tls_pair none = connect_tls(trusting_client(), server, host);
            EXPECT_TRUE(shake_hands(none).server) << host;
            tls_pair unasked = connect_tls(stranger, careless, host);
            EXPECT_FALSE(shake_hands(unasked).server) << host;
            EXPECT_EQ(unasked.server.peer_certificate(), "") << host;
        }
    });
}

TEST_F(tls_verification, misuse) {
    coir::run([] {
        EXPECT_THROW(connect_tls(good_server(), good_server()), std::invalid_argument);
        EXPECT_THROW(connect_tls(trusting_client(), trusting_client()), std::invalid_argument);
    });
}

} // namespace
} // namespace coir::test
