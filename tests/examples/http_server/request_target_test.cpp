#include "request_target.hpp"

#include <gtest/gtest.h>
#include <string_view>

namespace {

using http_server::decode_target;
using http_server::encode_path;
using http_server::target_path;

struct sample {
    std::string_view target;
    http_status status;
    std::string_view path;
    bool is_directory;
};

class DecodeTarget : public testing::TestWithParam<sample> {};

TEST_P(DecodeTarget, GivesPathOrStatus) {
    target_path result{"left from before", false};
    EXPECT_EQ(decode_target(GetParam().target, result), GetParam().status);
    if (GetParam().status == HTTP_STATUS_OK) {
        EXPECT_EQ(result.path, GetParam().path);
        EXPECT_EQ(result.is_directory, GetParam().is_directory);
    }
}

INSTANTIATE_TEST_SUITE_P(Paths, DecodeTarget,
                         testing::Values(sample{"/", HTTP_STATUS_OK, "", true},                          //
                                         sample{"/a", HTTP_STATUS_OK, "a", false},                       //
                                         sample{"/a/", HTTP_STATUS_OK, "a", true},                       //
                                         sample{"/a/b.txt?c/../d", HTTP_STATUS_OK, "a/b.txt", false},    //
                                         sample{"/a#b/c", HTTP_STATUS_OK, "a", false},                   //
                                         sample{"//a///b//", HTTP_STATUS_OK, "a/b", true},               //
                                         sample{"/./a/.", HTTP_STATUS_OK, "a", true},                    //
                                         sample{"/...", HTTP_STATUS_OK, "...", false},                   //
                                         sample{"/a..b/..c/d..", HTTP_STATUS_OK, "a..b/..c/d..", false}, //
                                         sample{"/%41%7a%2B+", HTTP_STATUS_OK, "Az++", false},           //
                                         sample{"/%C3%A4", HTTP_STATUS_OK, "\xc3\xa4", false},           //
                                         sample{"/%252e", HTTP_STATUS_OK, "%2e", false},                 //
                                         sample{"http://host/a", HTTP_STATUS_OK, "a", false},            //
                                         sample{"http://host:80", HTTP_STATUS_OK, "", true},             //
                                         sample{"http://host?q=/x", HTTP_STATUS_OK, "", true}));         //

INSTANTIATE_TEST_SUITE_P(Refused, DecodeTarget,
                         testing::Values(sample{"", HTTP_STATUS_BAD_REQUEST, "", false},               //
                                         sample{"a", HTTP_STATUS_BAD_REQUEST, "", false},              //
                                         sample{"*", HTTP_STATUS_BAD_REQUEST, "", false},              //
                                         sample{"/..", HTTP_STATUS_BAD_REQUEST, "", false},            //
                                         sample{"/a/../b", HTTP_STATUS_BAD_REQUEST, "", false},        //
                                         sample{"/%2e%2E/a", HTTP_STATUS_BAD_REQUEST, "", false},      //
                                         sample{"/.%2e", HTTP_STATUS_BAD_REQUEST, "", false},          //
                                         sample{"http://host/..", HTTP_STATUS_BAD_REQUEST, "", false}, //
                                         sample{"/%", HTTP_STATUS_BAD_REQUEST, "", false},             //
                                         sample{"/%4", HTTP_STATUS_BAD_REQUEST, "", false},            //
                                         sample{"/%4/1", HTTP_STATUS_BAD_REQUEST, "", false},          //
                                         sample{"/%g0", HTTP_STATUS_BAD_REQUEST, "", false},           //
                                         sample{"/a%00b", HTTP_STATUS_BAD_REQUEST, "", false},         //
                                         sample{"/a%2fb", HTTP_STATUS_NOT_FOUND, "", false},           //
                                         sample{"/..%2f", HTTP_STATUS_NOT_FOUND, "", false}));         //

TEST(EncodePath, IsUndoneByDecoding) {
    std::string all;
    for (int c = 1; c < 256; ++c)
        if (c != '/')
            all += static_cast<char>(c);
    target_path result;
    EXPECT_EQ(decode_target("/dir/" + encode_path(all), result), HTTP_STATUS_OK);
    EXPECT_EQ(result.path, "dir/" + all);
    EXPECT_EQ(encode_path("a b/c<d>"), "a%20b/c%3Cd%3E");
}

} // namespace
