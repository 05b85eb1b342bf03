#include "request_parser.hpp"

#include <gtest/gtest.h>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace {

using http_server::request;
using http_server::request_parser;

constexpr std::uint32_t header_limit = 16 * 1024;

struct RequestParser : testing::Test {
    RequestParser() { request_parser::set_header_limit(header_limit); }

    /// Of the first request in `text`, or the failure.
    http_status parse(std::string_view text) {
        const request_parser::progress progress = parser.parse(text);
        EXPECT_TRUE(progress.complete || progress.failure != HTTP_STATUS_OK);
        return progress.failure;
    }

    request_parser parser;
};

TEST_F(RequestParser, ReadsWhatMatters) {
    EXPECT_EQ(parse("HEAD /a?b HTTP/1.1\r\nHOST: here\r\nIf-Modified-Since: then\r\nOther: x\r\n\r\n"), HTTP_STATUS_OK);
    const request& found = parser.get();
    EXPECT_EQ(found.method, HTTP_HEAD);
    EXPECT_EQ(found.target, "/a?b");
    EXPECT_EQ(found.if_modified_since, "then");
    EXPECT_EQ(found.hosts, 1U);
    EXPECT_EQ(found.minor_version, 1);
    EXPECT_TRUE(found.keep_alive);
    EXPECT_FALSE(found.has_body);
}

TEST_F(RequestParser, KnowsWhetherTheConnectionStays) {
    parse("GET / HTTP/1.1\r\nConnection: close\r\n\r\n");
    EXPECT_FALSE(parser.get().keep_alive);
    parse("GET / HTTP/1.0\r\n\r\n");
    EXPECT_FALSE(parser.get().keep_alive);
    parse("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    EXPECT_TRUE(parser.get().keep_alive);
    EXPECT_EQ(parser.get().minor_version, 0);
}

TEST_F(RequestParser, TakesOneRequestAtATime) {
    const std::string text = "GET /1 HTTP/1.1\r\n\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\nGET /3 HT";
    std::string_view rest = text;
    std::vector<std::string> targets;
    for (;;) {
        const request_parser::progress progress = parser.parse(rest);
        ASSERT_EQ(progress.failure, HTTP_STATUS_OK);
        rest.remove_prefix(progress.consumed);
        if (!progress.complete)
            break;
        targets.push_back(parser.get().target);
        EXPECT_FALSE(parser.is_inside());
    }
    EXPECT_TRUE(rest.empty());
    EXPECT_TRUE(parser.is_inside());
    EXPECT_EQ(targets, (std::vector<std::string>{"/1", "/2"}));
}

TEST_F(RequestParser, TakesPiecesOfAnySize) {
    const std::string text = "GET /some/where?x HTTP/1.1\r\nHost: here\r\nIf-Modified-Since: then\r\nX-Y:\r\n\r\n";
    for (std::size_t step = 1; step < 8; ++step) {
        int complete = 0;
        const std::string twice = text + text;
        for (std::size_t at = 0; at < twice.size(); at += step) {
            std::string_view piece = std::string_view{twice}.substr(at, step);
            while (!piece.empty()) {
                const request_parser::progress progress = parser.parse(piece);
                ASSERT_EQ(progress.failure, HTTP_STATUS_OK);
                piece.remove_prefix(progress.consumed);
                if (progress.complete) {
                    ++complete;
                    EXPECT_EQ(parser.get().target, "/some/where?x");
                    EXPECT_EQ(parser.get().if_modified_since, "then");
                    EXPECT_EQ(parser.get().hosts, 1U);
                }
            }
        }
        EXPECT_EQ(complete, 2);
    }
}

TEST_F(RequestParser, BlankLinesAreNoRequest) {
    EXPECT_FALSE(parser.parse("\r\n\r\n").complete);
    EXPECT_FALSE(parser.is_inside());
}

TEST_F(RequestParser, ABodyEndsTheStream) {
    const std::string body = "GET /not/a/request HTTP/1.1\r\n\r\n";
    EXPECT_EQ(parse("POST / HTTP/1.1\r\nContent-Length: 31\r\n\r\n" + body), HTTP_STATUS_OK);
    EXPECT_TRUE(parser.get().has_body);
    EXPECT_EQ(parse("GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), HTTP_STATUS_OK);
    EXPECT_TRUE(parser.get().has_body);
    EXPECT_EQ(parse("GET / HTTP/1.1\r\nContent-Length: 0\r\n\r\n"), HTTP_STATUS_OK);
    EXPECT_FALSE(parser.get().has_body);
}

TEST_F(RequestParser, NamesTheFailure) {
    EXPECT_EQ(parse("GET /" + std::string(9000, 'x') + " HTTP/1.1\r\n\r\n"), HTTP_STATUS_URI_TOO_LONG);
    EXPECT_EQ(parse("GET /" + std::string(20000, 'x')), HTTP_STATUS_URI_TOO_LONG);
    EXPECT_EQ(parse("GET / HTTP/1.1\r\n" + std::string(20000, 'x')), HTTP_STATUS_REQUEST_HEADER_FIELDS_TOO_LARGE);
    EXPECT_EQ(parse("GET / HTTP/1.1\r\nA: " + std::string(20000, 'x')), HTTP_STATUS_REQUEST_HEADER_FIELDS_TOO_LARGE);
    EXPECT_EQ(parse("GET / HTTP/2.0\r\n\r\n"), HTTP_STATUS_HTTP_VERSION_NOT_SUPPORTED);
    EXPECT_EQ(parse("BREW / HTTP/1.1\r\n\r\n"), HTTP_STATUS_NOT_IMPLEMENTED);
    EXPECT_EQ(parse("\r\nGETS / HTTP/1.1\r\n\r\n"), HTTP_STATUS_NOT_IMPLEMENTED);
    EXPECT_EQ(parse("\x16\x03\x01"), HTTP_STATUS_BAD_REQUEST);
    EXPECT_EQ(parse("G\x01T / HTTP/1.1\r\n\r\n"), HTTP_STATUS_BAD_REQUEST);
    EXPECT_EQ(parse("GET / HTTP/1.1\r\n: x\r\n\r\n"), HTTP_STATUS_BAD_REQUEST);
    EXPECT_EQ(parse("GET / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"),
              HTTP_STATUS_BAD_REQUEST);
    // And is ready for another stream.
    EXPECT_EQ(parse("GET / HTTP/1.1\r\n\r\n"), HTTP_STATUS_OK);
}

TEST_F(RequestParser, TheLimitCountsEachRequestAnew) {
    const std::string text = "GET / HTTP/1.1\r\nX: " + std::string(header_limit / 3, 'x') + "\r\n\r\n";
    for (int i = 0; i < 10; ++i)
        EXPECT_EQ(parse(text), HTTP_STATUS_OK);
}

TEST_F(RequestParser, SurvivesNoise) {
    std::mt19937 random{1};
    for (int round = 0; round < 20000; ++round) {
        std::string text = "GET /x HTTP/1.1\r\nHost: y\r\nConnection: upgrade\r\nContent-Length: 3\r\n\r\nabc";
        for (unsigned change = random() % 6; change > 0; --change)
            text[random() % text.size()] = static_cast<char>(random());
        std::string_view rest = text;
        while (!rest.empty()) {
            const request_parser::progress progress = parser.parse(rest);
            ASSERT_LE(progress.consumed, rest.size());
            if (progress.failure != HTTP_STATUS_OK || (progress.complete && parser.get().has_body))
                break;
            ASSERT_GT(progress.consumed, 0U);
            rest.remove_prefix(progress.consumed);
        }
        parser.reset();
    }
}

} // namespace
