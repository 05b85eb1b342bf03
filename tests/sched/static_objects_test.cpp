// Objects of the program that use coir before main() begins and after it has returned (hazard G9). This program links the
// library's object files behind its own: so the constructor below runs before any of the library's.

#include "emulation.hpp"

#include <coir/event.hpp>
#include <coir/fiber.hpp>
#include <coir/mutex.hpp>
#include <coir/run.hpp>
#include <coir/this_fiber.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <stdexcept>
#include <thread>

namespace {

using namespace std::chrono_literals;

/// Fibers that wait for each other, sleep, fail and are cancelled, on a loop of their own.
bool loops_work(coir::mutex& mutex, coir::event& event) {
    bool has_failed = false;
    coir::run([&] {
        auto setter = coir::spawn([&] {
            const std::lock_guard hold{mutex};
            coir::this_fiber::sleep_for(1ms);
            event.set();
        });
        auto failing = coir::spawn([] { throw std::runtime_error("wanted"); });
        auto endless = coir::spawn([] { coir::this_fiber::sleep_for(1h); });
        event.wait();
        const std::lock_guard hold{mutex};
        try {
            failing.join();
        } catch (const std::runtime_error&) {
            has_failed = true;
        }
    });
    return has_failed;
}

/// Uses what it is made of, in its constructor, if and when it is asked to, and in its destructor. There it says what came of it.
class user {
public:
    explicit user(const char* name) : name_(name), works_(loops_work(mutex_, event_)) {}

    ~user() {
        { const std::lock_guard hold{mutex_}; }
        event_.reset();
        works_ = loops_work(mutex_, event_) && event_.wait() && works_;
        std::fprintf(stderr, "%s %s; ", name_, works_ ? "works" : "fails");
    }

    [[nodiscard]] bool works() const noexcept { return works_; }

private:
    const char* name_;
    coir::mutex mutex_;
    coir::event event_;
    bool works_;
};

const user before_main{"static object"};

user& of_this_thread() {
    thread_local user one{"thread_local object"};
    return one;
}

TEST(static_objects, are_made_before_main) {
    EXPECT_TRUE(before_main.works());
}

TEST(static_objects, are_destroyed_after_main) {
    use_fresh_processes();
    EXPECT_EXIT(
        {
            static_cast<void>(of_this_thread());
            std::exit(7);
        },
        testing::ExitedWithCode(7), "^thread_local object works; static object works; $");
}

TEST(static_objects, of_a_thread_are_destroyed_with_it) {
    use_fresh_processes();
    EXPECT_EXIT(
        {
            std::thread{[] { static_cast<void>(of_this_thread()); }}.join();
            std::exit(7);
        },
        testing::ExitedWithCode(7), "^thread_local object works; static object works; $");
}

} // namespace
