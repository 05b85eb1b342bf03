// Two hundred thousand fibers, each with a guard, under the default limits of the system; a random half ends, others come,
// all end: and what the process held is given back (hazards C1, C2).

#include "emulation.hpp"
#include "process_memory.hpp"

#include <coir/fiber.hpp>
#include <coir/run.hpp>
#include <coir/stack_size.hpp>
#include <coir/this_fiber.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <random>

namespace {

namespace this_fiber = coir::this_fiber;
using namespace std::chrono_literals;

#if defined(COIR_ASAN)
constexpr std::size_t many = 2'000; // each costs a stack of AddressSanitizer's own, too
#else
constexpr std::size_t many = 200'000;
#endif

constexpr coir::loop_options options{};

/// Something that many fibers wait for: the end of one that sleeps.
class gate {
public:
    void open() { closed_.cancel(); }
    void pass() {
        closed_.wait();
        ++passed_;
    }
    [[nodiscard]] std::size_t passed() const { return passed_; }

private:
    coir::fiber<void> closed_ = coir::spawn({.name = "gate"}, [] { this_fiber::sleep_until(coir::deadline::never()); });
    std::size_t passed_ = 0;
};

/// Lets others run until `condition` holds; false if it does not within a minute.
template <class Condition> bool comes_true(Condition condition) {
    const auto end = std::chrono::steady_clock::now() + 60s;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > end)
            return false;
        this_fiber::sleep_for(1ms);
    }
    return true;
}

class crowd {
public:
    void spawn(std::size_t count, gate& exit) {
        for (std::size_t i = 0; i < count; ++i)
            coir::spawn([this, &exit] {
                ++alive_;
                exit.pass();
                --alive_;
            }).detach();
        spawned_ += count;
    }
    [[nodiscard]] bool has_arrived() const { return alive_ == spawned_; }
    [[nodiscard]] std::size_t alive() const { return alive_; }
    void expect(std::size_t count) { spawned_ = count; }

private:
    std::size_t spawned_ = 0;
    std::size_t alive_ = 0;
};

TEST(many_fibers, live_and_end_within_the_limits_of_the_system) {
    if (is_emulated())
        GTEST_SKIP() << "qemu hands no guard markers on, so a guard is a mapping";
    coir::run(
        [] {
            [[maybe_unused]] std::size_t before = resident_bytes();
            [[maybe_unused]] const std::size_t tables_before = page_table_bytes();
            {
                crowd all;
                gate first;
                gate second;
                std::minstd_rand random{1};
                std::size_t left = 0;
                for (std::size_t i = 0; i < many; ++i) {
                    const bool stays = random() % 2 != 0;
                    left += stays ? 1 : 0;
                    all.spawn(1, stays ? second : first);
                }
                ASSERT_TRUE(comes_true([&] { return all.has_arrived(); }));
                EXPECT_LT(mappings(), 1000U);
#if !defined(COIR_ASAN)
                EXPECT_LE((resident_bytes() - before + page_table_bytes() - tables_before) / many, 4608U);
#endif

                first.open(); // a random half ends
                ASSERT_TRUE(comes_true([&] { return all.alive() <= left; }));
                EXPECT_EQ(all.alive(), left);
                EXPECT_LT(mappings(), 1000U);

                all.expect(left);
                all.spawn(many / 2, second);
                ASSERT_TRUE(comes_true([&] { return all.has_arrived(); }));
                EXPECT_LT(mappings(), 1000U);

                second.open();
                ASSERT_TRUE(comes_true([&] { return all.alive() == 0; }));
            }
            EXPECT_LT(mappings(), 1000U);
#if !defined(COIR_ASAN)
            before += options.pooled_stacks * options.stack_size;
            EXPECT_TRUE(comes_true([&] { return resident_bytes() <= before + before / 20; }))
                << resident_bytes() << " bytes instead of " << before;
            EXPECT_LT(page_table_bytes() - tables_before, many * 264 / 4); // and their page tables
#endif
        },
        options);
}

} // namespace
