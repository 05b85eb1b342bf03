// Where a fiber was spawned is recorded, whatever shape spawn() is called in.

#include "sched/fake_driver.hpp"

#include <coir/fiber.hpp>
#include <coir/run.hpp>
#include <coir/spawn_site.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <string_view>
#include <utility>
#include <version>

#if defined(__cpp_lib_source_location)
#include <source_location>
#endif

namespace {

using coir::spawn;
using coir::spawn_site;
using coir::detail::fake_driver;
using coir::detail::loop;
using coir::detail::run_on;

constexpr std::string_view this_file = __FILE__;

std::uint32_t line_of_running_fiber() {
    const spawn_site site = loop::current()->running().site;
    return site.file == this_file ? site.line : 0;
}

struct counter {
    [[nodiscard]] std::uint32_t line(int /*unused*/) const { return line_of_running_fiber(); }
};

using site = coir::detail::with_fake_driver;

TEST_F(site, is_the_line_of_the_call) {
    run_on(driver, [] {
        EXPECT_EQ(spawn(line_of_running_fiber).join(), __LINE__);
        EXPECT_EQ(spawn([](auto...) { return line_of_running_fiber(); }, 1).join(), __LINE__);
        EXPECT_EQ(spawn([](auto...) { return line_of_running_fiber(); }, 1, "two").join(), __LINE__);
        EXPECT_EQ(spawn([](auto...) { return line_of_running_fiber(); }, 1, "two", 3.0).join(), __LINE__);
        const counter object;
        EXPECT_EQ(spawn(&counter::line, std::cref(object), 1).join(), __LINE__);
    });
}

TEST_F(site, is_the_line_of_the_options) {
    run_on(driver, [] {
        EXPECT_EQ(spawn({}, line_of_running_fiber).join(), __LINE__);
        EXPECT_EQ(spawn({.name = "named"}, line_of_running_fiber).join(), __LINE__);
        EXPECT_EQ(spawn(coir::fiber_options{.name = "named"}, line_of_running_fiber).join(), __LINE__);
        const auto line_of_many = [](auto...) { return line_of_running_fiber(); };
        EXPECT_EQ(spawn({}, line_of_many, 1, 2, 3, 4, 5).join(), __LINE__);
        const coir::fiber_options kept{};
        const std::uint32_t line = __LINE__ - 1;
        EXPECT_EQ(spawn(kept, line_of_running_fiber).join(), line);
    });
}

TEST_F(site, is_unknown_from_the_fourth_argument_on) {
    run_on(driver, [] {
        const auto line = [](auto...) { return loop::current()->running().site.line; };
        EXPECT_EQ(spawn(line, 1, 2, 3, 4).join(), 0U);
        EXPECT_EQ(spawn(line, 1, 2, 3, 4, 5).join(), 0U);
    });
}

// A function that spawns for others says on whose behalf.
auto spawn_for(std::uint32_t (*function)(), spawn_site where = spawn_site::current()) {
    return spawn({.site = where}, function);
}

TEST_F(site, can_be_handed_on) {
    run_on(driver, [] {
        EXPECT_EQ(spawn_for(line_of_running_fiber).join(), __LINE__);
#if defined(__cpp_lib_source_location)
        EXPECT_EQ(spawn({.site = std::source_location::current()}, line_of_running_fiber).join(), __LINE__);
#endif
    });
}

TEST_F(site, of_the_first_fiber_is_the_call_of_run) {
    EXPECT_EQ(coir::run(line_of_running_fiber), __LINE__);
    EXPECT_EQ(coir::run(line_of_running_fiber, {.stack_size = coir::minimum_stack_size}), __LINE__);
}

} // namespace
