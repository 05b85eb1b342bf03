// When there is no more memory for stacks, spawn() says so and nothing has happened; what exists goes on.

#include "base/diagnostic.hpp"
#include "child_process.hpp"
#include "emulation.hpp"
#include "refused_guards.hpp"
#include "sched/fake_driver.hpp"
#include "stack/guard.hpp"

#include <coir/fiber.hpp>
#include <coir/this_fiber.hpp>

#include <gtest/gtest.h>

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <new>
#include <string>
#include <sys/mman.h>
#include <sys/resource.h>
#include <system_error>
#include <utility>
#include <vector>

namespace {

using coir::fiber;
using coir::spawn;
using coir::detail::fake_driver;
using coir::detail::run_on;
namespace this_fiber = coir::this_fiber;
using namespace std::chrono_literals;

#if !defined(COIR_ASAN) && !defined(COIR_TSAN) // which need more address space than any limit

/// qemu does not hand the limit of address space on; mappings take its place if they are limited.
bool memory_can_be_limited() {
    std::size_t mappings = 0;
    std::ifstream{"/proc/sys/vm/max_map_count"} >> mappings;
    return !is_emulated() || mappings < 100'000;
}

void limit_address_space(std::size_t mebibytes) {
    const rlimit limit{mebibytes << 20, mebibytes << 20};
    ::setrlimit(RLIMIT_AS, &limit);
    if (!is_emulated())
        return;
    constexpr std::size_t pairs = 30'000; // of mappings; a guard takes two as well
    const std::size_t page = coir::detail::page_size();
    auto* memory = static_cast<std::byte*>(
        ::mmap(nullptr, 2 * pairs * page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    for (std::size_t i = 0; i < pairs; ++i)
        ::mprotect(memory + 2 * i * page, page, PROT_NONE);
}

/// Spawns sleeping fibers until it fails; what the error says.
std::string spawn_until_it_fails(std::vector<fiber<void>>& workers, const std::shared_ptr<int>& alive) {
    try {
        workers.reserve(200'000);
        for (;;)
            workers.push_back(spawn([alive] { this_fiber::sleep_for(1h); }));
    } catch (const std::system_error& error) {
        return error.code() == std::errc::not_enough_memory ? error.what() : "another error";
    } catch (const std::bad_alloc&) {
        return "bad_alloc";
    }
}

TEST(exhaustion, of_address_space_is_an_error_of_spawn_and_starts_nothing) {
    if (!memory_can_be_limited())
        GTEST_SKIP() << "qemu, and vm.max_map_count is high";
    const auto end = in_child([] {
        limit_address_space(400);
        fake_driver driver;
        return run_on(driver, [] {
            const auto alive = std::make_shared<int>(0);
            std::vector<fiber<void>> workers;
            const std::string error = spawn_until_it_fails(workers, alive);
            if (error.find("address space") == std::string::npos || workers.size() < 500)
                return false;
            // Exactly the fibers that exist hold the function's copy.
            return alive.use_count() == static_cast<long>(workers.size()) + 1;
        });
    });
    EXPECT_TRUE(end.exited_well()) << end.errors;
}

TEST(exhaustion, leaves_the_fibers_that_exist_able_to_start_and_to_end) {
    if (!memory_can_be_limited())
        GTEST_SKIP() << "qemu, and vm.max_map_count is high";
    const auto end = in_child([] {
        limit_address_space(400);
        fake_driver driver;
        return run_on(driver, [] {
            const auto alive = std::make_shared<int>(0);
            std::vector<fiber<void>> workers;
            spawn_until_it_fails(workers, alive);
            const std::size_t count = workers.size();
            this_fiber::sleep_for(1s); // all have started, each on a stack
            workers.clear();
            if (alive.use_count() != 1)
                return false;
            // And there is room for as many again.
            spawn_until_it_fails(workers, alive);
            return workers.size() == count;
        });
    });
    EXPECT_TRUE(end.exited_well()) << end.errors;
}

TEST(exhaustion, of_one_size_of_stacks_leaves_room_for_those_that_come_back) {
    if (!memory_can_be_limited())
        GTEST_SKIP() << "qemu, and vm.max_map_count is high";
    const auto end = in_child([] {
        limit_address_space(400);
        fake_driver driver;
        return run_on(driver, [] {
            const auto alive = std::make_shared<int>(0);
            std::vector<fiber<void>> workers;
            spawn_until_it_fails(workers, alive);
            this_fiber::yield();
            for (int i = 0; i < 1000; ++i) {
                workers.pop_back();
                workers.push_back(spawn([alive] { this_fiber::sleep_for(1h); }));
                if (i % 100 == 0)
                    this_fiber::yield();
            }
            return true;
        });
    });
    EXPECT_TRUE(end.exited_well()) << end.errors;
}

#endif

// Where guards are plentiful they are installed when a fiber first runs. If even that fails, the fiber has ended before it
// began, with that as its failure: nothing runs unguarded.
TEST(exhaustion, of_guards_at_the_start_of_a_fiber_arrives_at_join) {
    const auto end = in_child([] {
        fake_driver driver;
        return run_on(driver, [] {
            bool ran = false;
            std::vector<fiber<void>> workers;
            for (int i = 0; i < 5; ++i)
                workers.push_back(spawn([&] {
                    ran = true;
                    this_fiber::yield();
                }));
            refuse_guards();
            int failures = 0;
            for (auto& each : workers) {
                try {
                    each.join();
                } catch (const std::system_error& error) {
                    failures += error.code() == std::errc::not_enough_memory ? 1 : 0;
                }
            }
            this_fiber::sleep_for(1s);
            return coir::detail::available_guard() == coir::detail::guard_kind::protection || (!ran && failures == 5);
        });
    });
    EXPECT_TRUE(end.exited_well()) << end.status << end.errors;
}

TEST(exhaustion, of_guards_at_the_start_of_a_detached_fiber_is_reported) {
    const auto end = in_child([] {
        fake_driver driver;
        std::string log;
        run_on(driver, [&] {
            if (coir::detail::available_guard() == coir::detail::guard_kind::protection) {
                coir::detail::report("unlucky no stack"); // promised stacks have their guards
                return;
            }
            struct guard {
                std::string& log;
                explicit guard(std::string& its_log) : log(its_log) {}
                ~guard() { log += "destroyed"; }
            };
            spawn({.name = "unlucky"}, [owned = std::make_unique<guard>(log)] {}).detach();
            spawn({.name = "unlucky"}, [owned = std::make_unique<guard>(log)] {}).detach();
            refuse_guards();
            this_fiber::yield();
            spawn({.name = "unlucky"}, [owned = std::make_unique<guard>(log)] {}).detach();
            coir::detail::loop::current()->spend(1'000'000); // the next turn begins on the thread's own stack
            this_fiber::sleep_for(1s);
        });
        return true;
    });
    EXPECT_TRUE(end.exited_well()) << end.status << end.errors;
    EXPECT_TRUE(end.says("unlucky") && end.says("no stack")) << end.errors;
}

TEST(exhaustion, of_guards_for_the_first_fiber_is_an_error_of_run) {
    const auto end = in_child([] {
        if (coir::detail::available_guard() == coir::detail::guard_kind::protection)
            return true;
        refuse_guards();
        fake_driver driver;
        try {
            run_on(driver, [] {});
        } catch (const std::system_error&) {
            return true;
        }
        return false;
    });
    EXPECT_TRUE(end.exited_well()) << end.status << end.errors;
}

} // namespace
