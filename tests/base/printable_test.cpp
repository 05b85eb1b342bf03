#include "base/printable.hpp"

#include <gtest/gtest.h>

#include <string>

namespace {

using coir::detail::printable;

TEST(printable, leaves_what_can_be_read_as_it_is) {
    EXPECT_EQ(printable(""), "");
    EXPECT_EQ(printable("/run/name-1.socket~"), "/run/name-1.socket~");
}

TEST(printable, shows_everything_else_by_its_number) {
    EXPECT_EQ(printable(std::string("a\0b", 3)), "a\\x00b");
    EXPECT_EQ(printable("a b\n\\"), "a\\x20b\\x0a\\x5c");
    EXPECT_EQ(printable("\x1b[2J\xff"), "\\x1b[2J\\xff");
}

} // namespace
