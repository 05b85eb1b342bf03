#include "child_process.hpp"
#include "exits_in_fiber.hpp"

#include <coir/context.hpp>
#include <coir/fiber.hpp>
#include <coir/run.hpp>
#include <coir/spawn_site.hpp>
#include <coir/stack_report.hpp>
#include <coir/stack_size.hpp>
#include <coir/this_fiber.hpp>

#include <gtest/gtest.h>

#include <alloca.h>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace {

using coir::spawn;
using coir::spawn_site;
using coir::stack_report;
using coir::stack_usage;
namespace this_fiber = coir::this_fiber;
using namespace std::chrono_literals;

constexpr std::size_t page = 4096;
constexpr coir::loop_options measured{.measure_stacks = true};

[[gnu::noinline]] void use_stack(std::size_t bytes) {
    void* const frame = alloca(bytes);
    std::memset(frame, 1, bytes);
    asm volatile("" : : "r"(frame) : "memory");
}

/// The entry for the place that calls itself `name`; all zero if there is none.
stack_usage usage_of(std::string_view name) {
    for (const stack_usage& each : stack_report())
        if (each.site.file == name)
            return each;
    return {};
}

TEST(stack_report, counts_the_fibers_of_each_line_that_have_ended) {
    coir::run(
        [] {
            for (int i = 0; i < 10; ++i)
                spawn({.site = {"ten", 1}}, [] {}).join();
            for (int i = 0; i < 5; ++i)
                spawn({.site = {"five", 1}}, [] { this_fiber::yield(); }).join();
            for (int i = 0; i < 3; ++i)
                spawn({.site = {"five", 2}}, [] {}).join();
            EXPECT_EQ(usage_of("ten").fibers, 10U);
            EXPECT_EQ(usage_of("ten").site.line, 1U);
            std::size_t of_both_lines = 0;
            for (const stack_usage& each : stack_report())
                of_both_lines += each.site.file == std::string_view{"five"} ? each.fibers : 0;
            EXPECT_EQ(of_both_lines, 8U);
        },
        measured);
}

TEST(stack_report, tells_how_deep_they_have_been) {
    coir::run(
        [] {
            for (const std::size_t pages : {std::size_t{5}, std::size_t{11}, std::size_t{8}})
                spawn({.site = {"deep", 1}}, use_stack, pages * page).join();
            spawn({.site = {"shallow", 1}}, [] {}).join();
            const stack_usage deep = usage_of("deep");
            EXPECT_GE(deep.largest_pages, 12U); // and a little for the frames above
            EXPECT_LE(deep.largest_pages, 14U);
            EXPECT_EQ(deep.stack_bytes, 128U * 1024);
            EXPECT_LE(usage_of("shallow").largest_pages, 2U); // on the same stack, after them
        },
        measured);
}

TEST(stack_report, tells_what_99_of_100_did_not_exceed) {
    coir::run(
        [] {
            for (int i = 0; i < 100; ++i)
                spawn({.site = {"once", 1}}, [i] { use_stack(i == 50 ? 20 * page : page); }).join();
            for (int i = 0; i < 100; ++i)
                spawn({.site = {"twice", 1}}, [i] { use_stack(i % 50 == 0 ? 20 * page : page); }).join();
            EXPECT_GE(usage_of("once").largest_pages, 21U);
            EXPECT_LE(usage_of("once").percentile_99_pages, 4U);
            EXPECT_GE(usage_of("twice").percentile_99_pages, 21U);
        },
        measured);
}

TEST(stack_report, names_a_size_that_would_do) {
    coir::run(
        [] {
            spawn({.site = {"before", 1}}, use_stack, 24 * page).join();
            const stack_usage before = usage_of("before");
            EXPECT_GT(before.sufficient_size, before.largest_pages * page);
            EXPECT_LT(before.sufficient_size, before.largest_pages * page * 3 / 2 + 64 * 1024);
            spawn({.stack_size = before.sufficient_size, .site = {"after", 1}}, use_stack, 24 * page).join();
            const stack_usage after = usage_of("after");
            EXPECT_LT(after.largest_pages * page, after.stack_bytes * 3 / 4);
            EXPECT_GE(usage_of("nowhere").sufficient_size, 0U);
            spawn({.site = {"nothing", 1}}, [] {}).join();
            EXPECT_GE(usage_of("nothing").sufficient_size, coir::minimum_stack_size);
        },
        measured);
}

TEST(stack_report, keeps_sizes_of_stacks_apart) {
    coir::run(
        [] {
            const spawn_site here{"here", 1};
            spawn({.stack_size = std::size_t{64} << 10, .site = here}, [] {}).join();
            spawn({.stack_size = std::size_t{256} << 10, .site = here}, [] {}).join();
            std::size_t entries = 0;
            for (const stack_usage& each : stack_report())
                entries += each.site.file == std::string_view{"here"} ? 1 : 0;
            EXPECT_EQ(entries, 2U);
        },
        measured);
}

TEST(stack_report, counts_those_that_exist_also_if_nothing_was_measured_before) {
    coir::run([] {
        spawn({.site = {"ended", 1}}, [] {}).join();
        std::vector<coir::fiber<void>> alive;
        for (int i = 0; i < 7; ++i)
            alive.push_back(spawn({.site = {"alive", 1}}, [] {
                use_stack(6 * page);
                this_fiber::sleep_for(1h);
            }));
        alive.push_back(spawn({.site = {"not begun", 1}}, [] {}));
        EXPECT_EQ(usage_of("alive").fibers, 0U); // they have no stack yet
        this_fiber::yield();
        alive.pop_back();
        EXPECT_EQ(usage_of("alive").fibers, 7U);
        EXPECT_GE(usage_of("alive").largest_pages, 7U);
        EXPECT_EQ(usage_of("ended").fibers, 0U);
        const stack_usage mine = stack_report().back();
        EXPECT_EQ(mine.fibers, 1U); // the calling one, the shallowest
    });
}

TEST(stack_report, begins_with_the_deepest) {
    coir::run(
        [] {
            spawn({.site = {"a", 1}}, use_stack, 3 * page).join();
            spawn({.site = {"b", 1}}, use_stack, 9 * page).join();
            spawn({.site = {"c", 1}}, use_stack, 6 * page).join();
            const std::vector<stack_usage> report = stack_report();
            for (std::size_t i = 1; i < report.size(); ++i)
                EXPECT_GE(report[i - 1].largest_pages, report[i].largest_pages);
            EXPECT_EQ(report.front().site.file, std::string_view{"b"});
        },
        measured);
}

TEST(stack_report, is_not_to_be_had_outside_a_loop) {
    EXPECT_THROW((void)stack_report(), std::logic_error);
}

/// What a program says on stderr that calls `program`, with the environment variable set to `wanted`, and exits.
template <class Program> child_end exit_after(Program program, const char* wanted = "1") {
    return in_child([&] {
        ::setenv("COIR_STACK_REPORT", wanted, 1);
        program();
        std::exit(0);
        return true;
    });
}

/// The line of the report about the place "server.cpp", number `line`; empty if there is none, "two" if there is more than one.
std::string line_about(const child_end& end, unsigned line) {
    const std::string place = "server.cpp:" + std::to_string(line) + '\n';
    const std::size_t found = end.errors.find(place);
    if (found == std::string::npos)
        return "";
    if (end.errors.find(place, found + 1) != std::string::npos)
        return "two";
    const std::size_t begin = end.errors.rfind('\n', found) + 1; // 0: it is the first
    return end.errors.substr(begin, found - begin);
}

/// The number of fibers there.
int fibers_at(const child_end& end, unsigned line) {
    int fibers = 0;
    return std::sscanf(line_about(end, line).c_str(), "coir: %d", &fibers) == 1 ? fibers : 0;
}

void spawn_at(unsigned line, int fibers) {
    for (int i = 0; i < fibers; ++i)
        spawn({.site = {"server.cpp", line}}, use_stack, 10 * page).join();
}

TEST(stack_report, is_printed_at_exit_when_the_environment_asks_for_it) {
    for (const char* const wanted : {"1", "0"}) {
        const auto end = exit_after([] { coir::run([] { spawn_at(57, 12); }); }, wanted);
        EXPECT_TRUE(end.exited_well());
        EXPECT_EQ(fibers_at(end, 57), *wanted == '1' ? 12 : 0) << end.errors;
        EXPECT_EQ(end.errors.empty(), *wanted == '0') << end.errors;
    }
}

TEST(stack_report, at_exit_is_one_for_all_loops) {
    const auto end = exit_after([] {
        coir::run([] { spawn_at(1, 3); });
        std::thread{[] { coir::run([] { spawn_at(1, 4); }); }}.join();
        coir::run([] {
            spawn_at(1, 5);
            spawn_at(2, 6);
        });
    });
    EXPECT_TRUE(end.exited_well());
    EXPECT_EQ(fibers_at(end, 1), 12) << end.errors;
    EXPECT_EQ(fibers_at(end, 2), 6) << end.errors;
}

TEST(stack_report, at_exit_out_of_a_fiber_has_those_that_exist) {
    const auto end = exit_after([] {
        coir::run([] {
            spawn_at(1, 3);
            const auto waiting = spawn({.site = {"server.cpp", 2}}, [] {
                use_stack(10 * page);
                this_fiber::sleep_for(1h);
            });
            this_fiber::yield(); // it has a stack now
            spawn({.site = {"server.cpp", 3}}, [] { std::exit(0); }).join();
        });
    });
    EXPECT_TRUE(end.exited_well());
    for (const unsigned line : {1U, 2U, 3U})
        EXPECT_EQ(fibers_at(end, line), line == 1 ? 3 : 1) << line << '\n' << end.errors;
}

TEST(stack_report, at_exit_has_what_ended_in_loops_that_still_run) {
    const auto end = exit_after([] {
        std::atomic<bool> has_spawned{false};
        std::thread other{[&] {
            coir::run([&] {
                spawn_at(1, 7);
                has_spawned = true;
                this_fiber::sleep_for(1h);
            });
        }};
        while (!has_spawned)
            std::this_thread::yield();
        std::exit(0); // before `other` is destroyed
    });
    EXPECT_TRUE(end.exited_well());
    EXPECT_EQ(fibers_at(end, 1), 7) << end.errors;
}

TEST(stack_report, at_exit_of_a_forked_child_is_the_childs) {
    const auto end = exit_after([] {
        coir::run([] {
            spawn_at(1, 3);
            const pid_t child = ::fork();
            if (child == 0) {
                spawn_at(2, 4);
                std::exit(0);
            }
            ::waitpid(child, nullptr, 0);
            spawn_at(1, 2);
        });
    });
    EXPECT_TRUE(end.exited_well());
    EXPECT_EQ(fibers_at(end, 1), 5) << end.errors;
    EXPECT_EQ(fibers_at(end, 2), 4) << end.errors;
}

// --- this_fiber::trim_stack() -------------------------------------------------------------------------------------

std::size_t pages_of_trimmed_fiber() {
    return usage_of("trimmed").largest_pages;
}

TEST(trim_stack, gives_back_what_was_used_once) {
    coir::run([] {
        spawn({.site = {"trimmed", 1}}, [] {
            use_stack(20 * page);
            EXPECT_GE(pages_of_trimmed_fiber(), 21U);
            this_fiber::trim_stack();
            EXPECT_LE(pages_of_trimmed_fiber(), 6U); // and the report itself uses some
        }).join();
    });
}

TEST(trim_stack, leaves_what_is_measured_as_it_was) {
    coir::run(
        [] {
            spawn({.site = {"trimmed", 1}}, [] {
                use_stack(24 * page);
                this_fiber::trim_stack();
                use_stack(5 * page);
                this_fiber::trim_stack();
                EXPECT_GE(pages_of_trimmed_fiber(), 25U);
            }).join();
            EXPECT_GE(pages_of_trimmed_fiber(), 25U);
            EXPECT_GT(usage_of("trimmed").sufficient_size, 25 * page);
            // The next one on that stack has nothing to do with it.
            spawn({.site = {"next", 1}}, this_fiber::trim_stack).join();
            EXPECT_LE(usage_of("next").largest_pages, 4U);
        },
        measured);
}

TEST(trim_stack, leaves_the_frames_of_its_callers) {
    coir::run([] {
        spawn({.site = {"trimmed", 1}}, [] {
            const volatile std::size_t ten_pages =
                10 * page; // AddressSanitizer moves what has a constant size off the stack
            const std::size_t bytes = ten_pages;
            auto* const frame = static_cast<volatile char*>(alloca(bytes));
            for (std::size_t i = 0; i < bytes; ++i)
                frame[i] = static_cast<char>(i % 100);
            this_fiber::trim_stack();
            use_stack(10 * page);
            this_fiber::trim_stack();
            bool intact = true;
            for (std::size_t i = 0; i < bytes; ++i)
                intact = intact && frame[i] == static_cast<char>(i % 100);
            EXPECT_TRUE(intact);
            EXPECT_GE(pages_of_trimmed_fiber(), 11U);
        }).join();
    });
}

TEST(trim_stack, does_nothing_in_a_context) {
    coir::run([] {
        volatile char above[3 * page];
        for (volatile char& each : above)
            each = 1;
        coir::context inner{[](coir::context::self& /*self*/) {
            volatile int kept = 42;
            this_fiber::trim_stack();
            EXPECT_EQ(kept, 42);
        }};
        inner.resume();
        EXPECT_EQ(above[0], 1);
    });
}

TEST(trim_stack, is_not_to_be_had_outside_a_loop) {
    EXPECT_THROW(this_fiber::trim_stack(), std::logic_error);
}

} // namespace
