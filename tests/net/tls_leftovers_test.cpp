// As leftovers_test.cpp: OpenSSL and what stands between it and the sockets.

#include "net/leftovers.hpp"
#include "net/tls_pair.hpp"

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <system_error>

namespace coir::test {
namespace {

TEST_F(leftovers, of_tls) {
    const net::tls_context client = trusting_client();
    const net::tls_context server = good_server();
    expect_none_of([&] {
        for (int i = 0; i < 3; ++i) {
            tls_pair made = connect_tls(client, server);
            EXPECT_FALSE(shake_hands(made).client);
            std::array<std::byte, 8> buffer{};
            made.server.write_all(bytes_of("data"), 5s);
            made.client.read_some(buffer, 5s);
            EXPECT_EQ(thrown_by([&] { made.client.read_some(buffer, 1ms); }), std::errc::timed_out);
        }
        // In the middle of a handshake, one goes away; and the wrong host.
        tls_pair given_up = connect_tls(client, server);
        EXPECT_EQ(thrown_by([&] { given_up.client.handshake(1ms); }), std::errc::timed_out);
        given_up.client = {};
        EXPECT_TRUE(error_of([&](auto& error) { given_up.server.handshake(error, 20s); }));
        tls_pair refused = connect_tls(client, server, "another.example");
        EXPECT_TRUE(shake_hands(refused).client);
    });
}

} // namespace
} // namespace coir::test
