#include "net/tls_pair.hpp"
#include "scratch_folder.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <openssl/ssl.h>

namespace coir::test {
namespace {

using net::tls_context;
using net::tls_identity;

class tls_contexts : public descriptors {
protected:
    std::string file(const std::string& name, const std::string& text) {
        std::ofstream{folder_.path() / name} << text;
        return (folder_.path() / name).string();
    }

    scratch_folder folder_;
};

// What a context cannot be made of.
std::string complaint(const tls_identity& identity, std::error_code& code) {
    try {
        server_of(identity);
    } catch (const std::system_error& failure) {
        code = failure.code();
        return failure.what();
    }
    return {};
}

TEST_F(tls_contexts, from_files) {
    const tls_identity made = trusted_authority().issue();
    const tls_identity files{.certificate_file = file("chain.pem", made.certificate_pem + trusted_authority().pem()),
                             .key_file = file("key.pem", made.key_pem)};
    net::tls_client_options options;
    options.trust.file = file("authority.pem", trusted_authority().pem());
    coir::run([&] {
        tls_pair pair = connect_tls(tls_context::client(options), server_of(files));
        EXPECT_FALSE(shake_hands(pair).client);
        EXPECT_EQ(pair.client.peer_certificate(), made.certificate_pem);
    });
}

TEST_F(tls_contexts, from_a_directory) {
    file("authority.pem", trusted_authority().pem());
    if (std::system(("openssl rehash " + folder_.path().string() + " 2>/dev/null").c_str()) != 0)
        GTEST_SKIP() << "no program openssl";
    net::tls_client_options options;
    options.trust.directory = folder_.path().string();
    coir::run([&] {
        tls_pair pair = connect_tls(tls_context::client(options));
        EXPECT_FALSE(shake_hands(pair).client);
    });
}

TEST_F(tls_contexts, the_systems_authorities_do_not_know_the_test) {
    coir::run([&] {
        tls_pair pair = connect_tls(tls_context::client());
        EXPECT_EQ(shake_hands(pair).client, net::tls_errc::certificate_issuer_unknown);
    });
}

TEST_F(tls_contexts, complaints_name_the_file) {
    const tls_identity made = trusted_authority().issue();
    tls_identity asked{.certificate_file = "/nonexistent/chain.pem", .key_pem = made.key_pem};
    std::error_code code;
    EXPECT_EQ(complaint(asked, code),
              "net::tls_context: certificate /nonexistent/chain.pem: No such file or directory");
    EXPECT_EQ(code, std::errc::no_such_file_or_directory);

    asked = {.key_file = file("key.pem", "rubbish"), .certificate_pem = made.certificate_pem};
    EXPECT_NE(complaint(asked, code).find("net::tls_context: key " + folder_.path().string() + "/key.pem: "),
              std::string::npos);
    EXPECT_EQ(code.category(), net::tls_category());

    asked = {.certificate_pem = "rubbish", .key_pem = made.key_pem};
    EXPECT_NE(complaint(asked, code).find("the certificate given as text"), std::string::npos);

    asked = {.certificate_pem = made.certificate_pem, .key_pem = trusted_authority().issue().key_pem};
    EXPECT_NE(complaint(asked, code).find("key values mismatch"), std::string::npos)
        << "the key of another certificate";

    // Nor one of another kind, for which OpenSSL has another place. This one is the example of RFC 8410.
    asked.key_pem = "-----BEGIN PRIVATE KEY-----\n"
                    "MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n"
                    "-----END PRIVATE KEY-----\n";
    EXPECT_NE(complaint(asked, code).find("the key is not that of the certificate"), std::string::npos);

    EXPECT_THROW(server_of({}), std::invalid_argument);
    EXPECT_THROW(trusting_client({""}), std::invalid_argument) << "a protocol without a name";

    net::tls_client_options trusting;
    trusting.trust.file = "/nonexistent/authority.pem";
    EXPECT_THROW((void)tls_context::client(trusting), std::system_error);
    trusting.trust = {.pem = "rubbish"};
    EXPECT_THROW((void)tls_context::client(trusting), std::system_error);
    trusting.trust = {.directory = "/nonexistent"};
    EXPECT_EQ(message_of([&] { (void)tls_context::client(trusting); }),
              "net::tls_context: trusted certificates in /nonexistent: No such file or directory");
    trusting.trust = {.directory = file("authority.pem", trusted_authority().pem())};
    EXPECT_EQ(thrown_by([&] { (void)tls_context::client(trusting); }), std::errc::not_a_directory);
}

// One that is broken is not as if it were not there.
TEST_F(tls_contexts, broken_certificates_among_good_ones) {
    const tls_identity made = trusted_authority().issue();
    const std::string good = trusted_authority().pem();
    std::string scrambled = good;
    scrambled.replace(scrambled.find('\n') + 20, 4, "!?!?");
    const std::string cut = good.substr(0, good.size() / 2) + '\n';
    for (const std::string& broken : {scrambled, cut}) {
        for (const std::string& after : {std::string{}, good}) {
            tls_identity own = made;
            own.certificate_pem += broken + after;
            std::error_code code;
            EXPECT_NE(complaint(own, code).find("the certificate chain given as text"), std::string::npos) << broken;
            net::tls_client_options trusting;
            trusting.trust.pem = good + broken + after;
            EXPECT_THROW((void)tls_context::client(trusting), std::system_error) << broken;
        }
    }
    net::tls_client_options trusting;
    trusting.trust.pem = "# ours\n" + good + "\n# and theirs\n" + authority{"another"}.pem() + "the end\n";
    EXPECT_NO_THROW((void)tls_context::client(trusting)) << "remarks are no harm";
}

TEST_F(tls_contexts, identity_by_name) {
    const auto identity = [](const char* name) {
        return trusted_authority().issue({.name = name, .hosts = std::string{"DNS:"} + name});
    };
    tls_context server = server_of(identity("default.test"));
    server.add_name("Exact.test", server_of(identity("exact.test")));
    server.add_name("*.wild.test", server_of(identity("*.wild.test")));
    coir::run([&] {
        for (const char* host : {"default.test", "exact.test", "EXACT.test", "a.wild.test"}) {
            tls_pair pair = connect_tls(trusting_client(), server, host);
            EXPECT_FALSE(shake_hands(pair).client) << host;
            EXPECT_EQ(pair.server.server_name(), host);
        }
        tls_pair other = connect_tls(trusting_client(), server, "wild.test");
        EXPECT_EQ(shake_hands(other).client, net::tls_errc::hostname_mismatch) << "sees the default";
    });
    EXPECT_THROW(trusting_client().add_name("a", server), std::invalid_argument);
    EXPECT_THROW(server.add_name("a", trusting_client()), std::invalid_argument);
}

// The client's first key is for a curve that the server does not want, so it is asked to begin anew; when it does, the context that
// it was shown at first is in use by this connection only.
TEST_F(tls_contexts, identity_that_is_replaced_in_the_middle_of_a_handshake) {
    const auto server_on_rare_curve = [](const char* name) {
        tls_context made =
            server_of(trusted_authority().issue({.name = name, .hosts = std::string{"DNS:"} + name}), {"h2"});
        SSL_CTX_set1_groups_list(made.native_handle(), "P-521");
        return made;
    };
    tls_context server = server_on_rare_curve("default.test");
    server.add_name("exact.test", server_on_rare_curve("exact.test"));
    coir::run([&] {
        tcp_pair left = connect_tcp();
        tcp_pair right = connect_tcp();
        tls_pair ends{net::tls_stream{trusting_client({"h2"}), std::move(left.near), "exact.test"},
                      net::tls_stream{server, std::move(right.far)}};
        fiber<void> relay = spawn([&] {
            std::array<std::byte, 16'384> buffer{};
            const auto pass_on = [&buffer](net::tcp_stream& from, net::tcp_stream& to) {
                to.write_all(std::span{buffer}.first(from.read_some(buffer, 5s)), 5s);
            };
            pass_on(left.far, right.near);
            io::wait_readable(right.near.native_handle(), 5s);
            server.add_name("exact.test", server_on_rare_curve("exact.test"));
            pass_on(right.near, left.far);
            fiber<void> back = spawn([&] {
                for (;;)
                    pass_on(right.near, left.far);
            });
            for (;;)
                pass_on(left.far, right.near);
        });
        const both_errors errors = shake_hands(ends);
        EXPECT_FALSE(errors.client) << errors.client.message();
        EXPECT_FALSE(errors.server) << errors.server.message();
        EXPECT_EQ(ends.server.protocol(), "h2");
        relay.cancel();
        relay.wait();
    });
}

TEST_F(tls_contexts, application_protocols) {
    coir::run([] {
        struct {
            std::vector<std::string> client;
            std::vector<std::string> server;
            std::string agreed;
        } const cases[] = {
            {{"h2", "http/1.1"}, {"http/1.1", "h2"}, "http/1.1"}, // the server's favourite
            {{"http/1.1"}, {"h2", "http/1.1"}, "http/1.1"},
            {{"http/1.1"}, {}, ""},
            {{}, {"http/1.1"}, ""},
        };
        for (const auto& each : cases) {
            tls_pair pair =
                connect_tls(trusting_client(each.client), server_of(trusted_authority().issue(), each.server));
            EXPECT_FALSE(shake_hands(pair).client);
            EXPECT_EQ(pair.client.protocol(), each.agreed);
            EXPECT_EQ(pair.server.protocol(), each.agreed);
        }
        tls_pair pair = connect_tls(trusting_client({"gopher"}), server_of(trusted_authority().issue(), {"h2"}));
        EXPECT_NE(shake_hands(pair).client.message().find("no application protocol"), std::string::npos);
    });
}

TEST_F(tls_contexts, versions) {
    coir::run([] {
        tls_pair pair = connect_tls();
        EXPECT_EQ(pair.client.version(), "") << "nothing has been agreed on";
        EXPECT_FALSE(shake_hands(pair).client);
        EXPECT_EQ(pair.client.version(), "TLSv1.3");
        EXPECT_EQ(pair.client.cipher(), pair.server.cipher());
        EXPECT_NE(pair.client.cipher(), "");
    });
}

// The context may go before the streams made with it.
TEST_F(tls_contexts, streams_keep_it_alive) {
    coir::run([] {
        tls_pair pair = [] {
            return connect_tls(trusting_client({"x"}), server_of(trusted_authority().issue(), {"x"}));
        }();
        EXPECT_FALSE(shake_hands(pair).client);
        EXPECT_EQ(pair.server.protocol(), "x");
    });
}

} // namespace
} // namespace coir::test
