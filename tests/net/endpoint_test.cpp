#include <coir/endpoint.hpp>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <sys/un.h>

namespace coir::net {
namespace {

TEST(endpoint, addresses_in_numbers) {
    const endpoint v4{"192.0.2.1", 80};
    EXPECT_TRUE(v4.is_v4());
    EXPECT_FALSE(v4.is_v6());
    EXPECT_EQ(v4.port(), 80);
    EXPECT_EQ(v4.address(), "192.0.2.1");
    EXPECT_EQ(v4.to_string(), "192.0.2.1:80");
    const endpoint v6{"2001:DB8:0:0::1", 65535};
    EXPECT_TRUE(v6.is_v6());
    EXPECT_FALSE(v6.is_v4());
    EXPECT_EQ(v6.port(), 65535);
    EXPECT_EQ(v6.address(), "2001:db8::1");
    EXPECT_EQ(v6.to_string(), "[2001:db8::1]:65535");
}

TEST(endpoint, every_local_address) {
    EXPECT_EQ(endpoint{}.to_string(), "0.0.0.0:0");
    const endpoint all{"", 80};
    EXPECT_EQ(all.to_string(), "[::]:80");
    EXPECT_EQ(all, (endpoint{"::", 80}));
}

TEST(endpoint, interfaces) {
    const endpoint by_number{"fe80::1%1", 80};
    std::array<char, IF_NAMESIZE> name{};
    if (::if_indextoname(1, name.data())) {
        EXPECT_EQ(by_number.address(), "fe80::1%" + std::string{name.data()});
        EXPECT_EQ(by_number, (endpoint{"fe80::1%" + std::string{name.data()}, 80}));
        EXPECT_EQ(endpoint::parse(by_number.to_string()), by_number);
    }
    EXPECT_NE(by_number, (endpoint{"fe80::1", 80}));
    EXPECT_EQ((endpoint{"fe80::1%4000000000", 80}).address(), "fe80::1%4000000000") << "an interface that has no name";
}

TEST(endpoint, parse_takes_what_to_string_makes) {
    for (const std::string_view text : {"0.0.0.0:0", "127.0.0.1:8080", "[::]:1", "[::1]:65535", "[2001:db8::1]:80"})
        EXPECT_EQ(endpoint::parse(text).to_string(), text);
}

TEST(endpoint, what_is_no_address) {
    using namespace std::string_view_literals;
    for (const std::string_view text :
         {"300.1.2.3"sv, "1.2.3"sv, "1.2.3.4.5"sv, "localhost"sv, " 1.2.3.4"sv, "1.2.3.4 "sv, "0x1.2.3.4"sv, ":::"sv,
          "1:2"sv, "[::1]"sv, "::1%"sv, "::1%no_such_interface"sv, "::1%a_name_much_longer_than_interfaces_have"sv,
          "1.2.3.4\0"sv, "::1\0"sv, "1.2.3.4%1"sv, "\xff\xfe"sv}) {
        std::error_code error;
        const endpoint none{text, 80, error};
        EXPECT_EQ(error, std::errc::invalid_argument) << text;
        EXPECT_EQ(none, endpoint{});
        try {
            const endpoint bad{text, 80};
            ADD_FAILURE() << text;
        } catch (const std::system_error& failure) {
            EXPECT_EQ(failure.code(), std::errc::invalid_argument);
            EXPECT_NE(std::string{failure.what()}.find(text.substr(0, text.find('\0'))), std::string::npos);
        }
    }
    std::error_code error;
    const endpoint long_text{std::string(100'000, '1'), 80, error};
    EXPECT_EQ(error, std::errc::invalid_argument);
}

TEST(endpoint, what_is_no_address_with_a_port) {
    for (const std::string_view text :
         {"", ":", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:+1", "127.0.0.1: 1",
          "127.0.0.1:1x", "::1:80", "[::1]", "[::1]80", "[127.0.0.1]:80", "[]:80", ":80", "[::1:80", "::1]:80"}) {
        std::error_code error;
        static_cast<void>(endpoint::parse(text, error));
        EXPECT_EQ(error, std::errc::invalid_argument) << text;
        EXPECT_THROW(static_cast<void>(endpoint::parse(text)), std::system_error) << text;
    }
}

TEST(endpoint, native_form) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(80);
    v4.sin_addr.s_addr = htonl(0x7f000001);
    const endpoint made = endpoint::from_native(&v4, sizeof v4);
    EXPECT_EQ(made, (endpoint{"127.0.0.1", 80}));
    EXPECT_EQ(made.native_size(), sizeof v4);
    EXPECT_EQ(std::string_view(static_cast<const char*>(made.native()), sizeof v4),
              std::string_view(reinterpret_cast<const char*>(&v4), sizeof v4));
    // What is not part of the address makes no difference.
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(80);
    v6.sin6_addr = in6addr_loopback;
    v6.sin6_flowinfo = 5;
    EXPECT_EQ(endpoint::from_native(&v6, sizeof v6), (endpoint{"::1", 80}));

    sockaddr_un other{};
    other.sun_family = AF_UNIX;
    EXPECT_THROW(static_cast<void>(endpoint::from_native(&other, sizeof other)), std::system_error);
    EXPECT_THROW(static_cast<void>(endpoint::from_native(&v6, sizeof v6 - 1)), std::system_error);
    EXPECT_THROW(static_cast<void>(endpoint::from_native(&v6, 0)), std::system_error);
}

TEST(endpoint, unmapped) {
    EXPECT_EQ((endpoint{"::ffff:192.0.2.1", 80}.unmapped()), (endpoint{"192.0.2.1", 80}));
    for (const char* other : {"192.0.2.1", "2001:db8::1", "::", "::192.0.2.1", "fe80::1%1"})
        EXPECT_EQ((endpoint{other, 80}.unmapped()), (endpoint{other, 80}));
}

TEST(endpoint, equality) {
    EXPECT_EQ((endpoint{"1.2.3.4", 5}), (endpoint{"1.2.3.4", 5}));
    EXPECT_NE((endpoint{"1.2.3.4", 5}), (endpoint{"1.2.3.4", 6}));
    EXPECT_NE((endpoint{"1.2.3.4", 5}), (endpoint{"1.2.3.5", 5}));
    EXPECT_NE((endpoint{"::", 5}), (endpoint{"0.0.0.0", 5}));
    EXPECT_NE((endpoint{"::1", 5}), (endpoint{"::2", 5}));
}

} // namespace
} // namespace coir::net
