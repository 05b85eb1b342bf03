#include "http_date.hpp"

#include <gtest/gtest.h>
#include <string>

namespace {

std::string format(std::time_t time) {
    const auto text = http_server::format_http_date(time);
    return {text.data(), text.size()};
}

TEST(HttpDate, Formats) {
    EXPECT_EQ(format(784111777), "Sun, 06 Nov 1994 08:49:37 GMT"); // the example of RFC 9110
    EXPECT_EQ(format(0), "Thu, 01 Jan 1970 00:00:00 GMT");
    EXPECT_EQ(format(1709210096), "Thu, 29 Feb 2024 12:34:56 GMT");
}

TEST(HttpDate, ParsesWhatItFormats) {
    for (std::time_t time = 0; time < 4'000'000'000; time += 86'399'999)
        EXPECT_EQ(http_server::parse_http_date(format(time)), time);
}

TEST(HttpDate, RejectsTheRest) {
    for (const char* text : {"", "nonsense", "Sun, 06 Nov 1994 08:49:37 GMT ", "Sun, 06 Nov 1994 08:49:37",
                             "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994", "784111777"})
        EXPECT_EQ(http_server::parse_http_date(text), std::nullopt) << text;
}

} // namespace
