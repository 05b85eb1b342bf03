#include "sched/fake_driver.hpp"

#include <coir/cancelled.hpp>
#include <coir/fiber.hpp>
#include <coir/this_fiber.hpp>
#include <coir/with_timeout.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <istream>
#include <memory>
#include <optional>
#include <ostream>
#include <stdexcept>
#include <streambuf>
#include <string>
#include <system_error>

namespace {

using coir::cancelled;
using coir::deadline;
using coir::fiber;
using coir::spawn;
using coir::try_with_timeout;
using coir::with_timeout;
using coir::detail::fake_driver;
using coir::detail::fake_source;
using coir::detail::run_on;
using coir::detail::wake_reason;
namespace this_fiber = coir::this_fiber;
using namespace std::chrono_literals;

using a_timeout = coir::detail::with_fake_driver;

int slow(std::chrono::seconds time) {
    this_fiber::sleep_for(time);
    return 7;
}

TEST_F(a_timeout, that_does_not_pass_returns_what_the_function_returns) {
    run_on(driver, [] {
        EXPECT_EQ(with_timeout(2s, [] { return slow(1s); }), 7);
        EXPECT_EQ(*with_timeout(2s, [] { return std::make_unique<int>(slow(1s)); }), 7);
        int number = 1;
        EXPECT_EQ(&with_timeout(2s, [&]() -> int& { return number; }), &number);
        with_timeout(2s, [] { slow(1s); });
        EXPECT_EQ(with_timeout(deadline::never(), [] { return slow(1s); }), 7);
    });
}

TEST_F(a_timeout, is_thrown_as_timed_out_which_is_a_system_error) {
    run_on(driver, [this] {
        bool unwound = false;
        struct guard {
            bool& unwound;
            ~guard() { unwound = true; }
        };
        try {
            with_timeout(2s, [&] {
                const guard at_end{unwound};
                for (;;)
                    slow(1s); // none of the calls alone is too long
            });
            FAIL();
        } catch (const std::system_error& error) {
            EXPECT_EQ(error.code(), std::errc::timed_out);
            EXPECT_NE(dynamic_cast<const coir::timed_out*>(&error), nullptr);
        }
        EXPECT_TRUE(unwound);
        EXPECT_EQ(driver.elapsed(), 2s);
        this_fiber::sleep_for(1s);
    });
}

TEST_F(a_timeout, has_a_form_without_exceptions) {
    run_on(driver, [] {
        EXPECT_EQ(try_with_timeout(2s, [] { return slow(1s); }), std::optional{7});
        EXPECT_EQ(try_with_timeout(1s, [] { return slow(2s); }), std::nullopt);
        EXPECT_TRUE(try_with_timeout(2s, [] { slow(1s); }));
        EXPECT_FALSE(try_with_timeout(1s, [] { slow(2s); }));
        EXPECT_EQ(**try_with_timeout(2s, [] { return std::make_unique<int>(3); }), 3);
        EXPECT_THROW(try_with_timeout(2s, [] { throw std::runtime_error("x"); }), std::runtime_error);
    });
}

// In every order of the two timers, and beside cancellation of the fiber.
TEST_F(a_timeout, does_not_take_away_a_result_that_is_there) {
    run_on(driver, [this] {
        EXPECT_EQ(with_timeout(1s,
                               [this] {
                                   driver.advance(5s); // it computes
                                   return 1;
                               }),
                  1);
        fake_source source;
        driver.at(driver.elapsed() + 1s, [&] {
            source.notify_one();
            driver.advance(5s);
        });
        EXPECT_EQ(with_timeout(2s, [&] { return source.wait(); }), wake_reason::notified);

        fiber<int> worker = spawn([this] {
            return with_timeout(1s, [this] {
                driver.advance(5s);
                return 2;
            });
        });
        worker.cancel();
        EXPECT_EQ(worker.join(), 2);
    });
}

TEST_F(a_timeout, inside_another_wins_if_it_is_the_tighter_and_is_thrown_where_it_is) {
    run_on(driver, [this] {
        std::string log;
        const auto both = [&](std::chrono::seconds outer, std::chrono::seconds inner) {
            try {
                with_timeout(outer, [&] {
                    try {
                        with_timeout(inner, [] { this_fiber::sleep_for(1h); });
                    } catch (const coir::timed_out&) {
                        log += "inner ";
                        this_fiber::sleep_for(1s); // still possible: the outer deadline has not passed
                        log += "slept ";
                    }
                });
            } catch (const coir::timed_out&) {
                log += "outer ";
            }
        };
        both(5s, 1s);
        EXPECT_EQ(driver.elapsed(), 2s);
        both(1s, 5s);
        EXPECT_EQ(driver.elapsed(), 3s);
        EXPECT_EQ(log, "inner slept outer ");
    });
}

TEST_F(a_timeout, passes_cancellation_of_the_fiber_on) {
    run_on(driver, [] {
        bool timed_out = false;
        fiber<void> worker = spawn([&] {
            try {
                with_timeout(1h, [] { this_fiber::sleep_for(2h); });
            } catch (const std::system_error&) {
                timed_out = true;
            }
        });
        this_fiber::yield();
        worker.cancel();
        EXPECT_THROW(worker.join(), cancelled);
        EXPECT_FALSE(timed_out);
    });
}

TEST_F(a_timeout, and_the_deadline_of_a_call_at_the_same_time_end_the_call_once) {
    run_on(driver, [] {
        const deadline when = 1s;
        fake_source source;
        std::string log;
        for (int i = 0; i < 2; ++i) {
            try {
                const wake_reason reason = with_timeout(when, [&] { return source.wait(when); });
                log += reason == wake_reason::timed_out ? "call " : reason == wake_reason::cancelled ? "cancel " : "? ";
            } catch (const coir::timed_out&) {
                log += "scope ";
            }
        }
        EXPECT_TRUE(log == "call call " || log == "cancel cancel " || log == "call cancel " || log == "cancel call ")
            << log;
        EXPECT_FALSE(source.has_waiters());
    });
}

// A4: code of libstdc++ that catches everything lets it through.
TEST_F(a_timeout, is_not_stopped_by_streams_packaged_tasks_and_deferred_functions) {
    struct sleeping_buffer : std::streambuf {
        int_type overflow(int_type character) override {
            this_fiber::sleep_for(1h);
            return character;
        }
        int_type underflow() override {
            this_fiber::sleep_for(1h);
            return traits_type::eof();
        }
    };
    run_on(driver, [this] {
        bool went_on = false;
        const auto expect_timeout = [](auto call) { EXPECT_FALSE(try_with_timeout(1s, call)); };
        expect_timeout([&] {
            sleeping_buffer buffer;
            std::ostream stream{&buffer};
            stream << "text" << 42;
            went_on = true;
        });
        expect_timeout([&] {
            sleeping_buffer buffer;
            std::istream stream{&buffer};
            int number = 0;
            stream >> number;
            went_on = true;
        });
        expect_timeout([&] {
            std::packaged_task<void()> task{[] { this_fiber::sleep_for(1h); }};
            task();
            went_on = true;
        });
        expect_timeout([&] {
            std::async(std::launch::deferred, [] { this_fiber::sleep_for(1h); }).get();
            went_on = true;
        });
        EXPECT_FALSE(went_on);
        EXPECT_EQ(driver.elapsed(), 4s);
    });
}

// Cancellation from further out is not told there, but what is caught in the destructor is.
TEST_F(a_timeout, ends_what_a_destructor_does_while_an_exception_unwinds_the_stack) {
    struct says_goodbye {
        std::string& log;
        ~says_goodbye() {
            log += try_with_timeout(1s, [] { slow(1h); }) ? "said " : "gave up ";
            try {
                with_timeout(1s, [] { with_timeout(5s, [] { slow(1h); }); });
            } catch (const coir::timed_out&) {
                log += "timed out ";
            }
            this_fiber::sleep_for(1s); // nobody has cancelled this
        }
    };
    run_on(driver, [this] {
        std::string log;
        try {
            const says_goodbye at_end{log};
            throw std::runtime_error("unwinds");
        } catch (const std::runtime_error&) {}
        EXPECT_EQ(log, "gave up timed out ");
        EXPECT_EQ(driver.elapsed(), 3s);

        log.clear();
        fiber<void> cancelled_one = spawn([&log] {
            const says_goodbye at_end{log};
            slow(1h);
        });
        this_fiber::yield();
        cancelled_one.cancel();
        EXPECT_THROW(cancelled_one.join(), cancelled);
        EXPECT_EQ(log, "gave up timed out ");
        EXPECT_EQ(driver.elapsed(), 6s);
    });
}

} // namespace
