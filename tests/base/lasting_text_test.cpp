#include "base/lasting_text.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace {

using coir::detail::lasting_copy;

TEST(lasting_text, outlives_what_it_is_a_copy_of) {
    std::string_view copy;
    {
        std::string text = "plugins/parser.cpp, which is longer than a string without memory of its own";
        copy = lasting_copy(text);
        text.assign(text.size(), 'x');
    }
    EXPECT_EQ(copy, "plugins/parser.cpp, which is longer than a string without memory of its own");
    EXPECT_EQ(copy.data()[copy.size()], '\0');
}

TEST(lasting_text, is_one_for_all_who_ask) {
    const std::string_view server = lasting_copy("server.cpp");
    const std::string_view client = lasting_copy("client.cpp");
    EXPECT_EQ(lasting_copy(std::string{"server.cpp"}).data(), server.data());
    EXPECT_EQ(lasting_copy(std::string{"client.cpp"}).data(), client.data());
    EXPECT_NE(lasting_copy("server").data(), server.data());
    EXPECT_EQ(lasting_copy(""), "");
}

} // namespace
