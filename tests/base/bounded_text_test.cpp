#include "base/bounded_text.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>

namespace {

using coir::detail::bounded_text;

TEST(bounded_text, puts_words_and_numbers_together) {
    bounded_text text;
    text << "fiber " << std::uint64_t{42} << " at ";
    text.append_address(reinterpret_cast<const void*>(std::uintptr_t{0xbeef00}));
    EXPECT_EQ(text.view(), "fiber 42 at 0xbeef00");
}

TEST(bounded_text, writes_the_smallest_and_the_largest_number) {
    bounded_text text;
    text << std::uint64_t{0} << " " << std::numeric_limits<std::uint64_t>::max() << " ";
    text.append_address(nullptr);
    EXPECT_EQ(text.view(), "0 18446744073709551615 0x0");
}

TEST(bounded_text, cuts_off_what_does_not_fit) {
    bounded_text text;
    for (int i = 0; i < 3; ++i)
        text << std::string(500, 'x');
    text << std::uint64_t{1};
    EXPECT_EQ(text.view(), std::string(1024, 'x'));
}

} // namespace
