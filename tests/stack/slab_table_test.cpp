#include "stack/slab_table.hpp"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <deque>
#include <optional>
#include <thread>

namespace {

using coir::detail::find_slab;
using coir::detail::slab_extent;
using coir::detail::slab_registration;
using coir::detail::stack_geometry;

constexpr stack_geometry geometry{8192, 4096};
// Addresses that no slab has: the table only keeps them.
std::byte* const somewhere = reinterpret_cast<std::byte*>(std::size_t{1} << 30);

constexpr coir::detail::owner_description owners{};

TEST(slab_table, finds_what_lies_in_a_slab) {
    const slab_registration entry{{somewhere, 10, geometry, &owners}};
    slab_extent found{};
    for (const std::size_t offset : {std::size_t{0}, std::size_t{4096}, 10 * geometry.pitch() - 1}) {
        ASSERT_TRUE(find_slab(somewhere + offset, found));
        EXPECT_EQ(found.begin, somewhere);
        EXPECT_EQ(found.count, 10U);
        EXPECT_EQ(found.geometry.bytes, geometry.bytes);
        EXPECT_EQ(found.geometry.guard_bytes, geometry.guard_bytes);
        EXPECT_EQ(found.owners, &owners);
    }
}

TEST(slab_table, finds_nothing_elsewhere) {
    const slab_registration entry{{somewhere, 10, geometry, &owners}};
    slab_extent found{};
    EXPECT_FALSE(find_slab(somewhere - 1, found));
    EXPECT_FALSE(find_slab(somewhere + 10 * geometry.pitch(), found));
    EXPECT_FALSE(find_slab(nullptr, found));
    EXPECT_FALSE(find_slab(&found, found));
}

TEST(slab_table, forgets_a_slab_that_has_gone) {
    slab_extent found{};
    { const slab_registration entry{{somewhere, 10, geometry, &owners}}; }
    EXPECT_FALSE(find_slab(somewhere, found));
}

TEST(slab_table, finds_one_of_thousands) {
    std::deque<std::optional<slab_registration>> all(5000);
    const std::size_t distance = 10 * geometry.pitch();
    for (std::size_t i = 0; i < all.size(); ++i)
        all[i].emplace(slab_extent{somewhere + i * distance, 10, geometry, &owners});
    for (std::size_t i = 0; i < all.size(); i += 2)
        all[i].reset();
    for (std::size_t i = 0; i < all.size(); i += 7) {
        slab_extent found{};
        EXPECT_EQ(find_slab(somewhere + i * distance + 1, found), i % 2 == 1) << i;
    }
}

TEST(slab_table, does_without_slabs_that_it_has_no_room_for) {
    std::deque<std::optional<slab_registration>> all(17'000);
    for (std::size_t i = 0; i < all.size(); ++i)
        all[i].emplace(slab_extent{somewhere + i * geometry.pitch(), 1, geometry, &owners});
    slab_extent found{};
    EXPECT_TRUE(find_slab(somewhere, found));
    EXPECT_FALSE(find_slab(somewhere + 16'999 * geometry.pitch(), found));
    all.clear();
    const slab_registration entry{{somewhere, 1, geometry, &owners}};
    EXPECT_TRUE(find_slab(somewhere, found));
}

// A handler may look while other threads map and unmap.
TEST(slab_table, is_found_while_others_come_and_go) {
    const slab_registration mine{{somewhere, 10, geometry, &owners}};
    std::atomic<bool> done{false};
    std::array<std::thread, 2> others;
    for (std::size_t t = 0; t < others.size(); ++t)
        others[t] = std::thread{[&, t] {
            std::byte* const begin = somewhere + (t + 1) * 100 * geometry.pitch();
            while (!done.load()) {
                const slab_registration first{{begin, 10, geometry, nullptr}};
                const slab_registration second{{begin + 10 * geometry.pitch(), 5, {16'384, 4096}, nullptr}};
            }
        }};
    bool found_each_time = true;
    for (int i = 0; i < 20'000; ++i) {
        slab_extent found{};
        found_each_time = find_slab(somewhere + 5000, found) && found.begin == somewhere && found_each_time;
    }
    done = true;
    for (std::thread& each : others)
        each.join();
    EXPECT_TRUE(found_each_time);
}

} // namespace
