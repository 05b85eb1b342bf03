#include "child_process.hpp"
#include "net/resolver_fixture.hpp"

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <netdb.h>
#include <random>
#include <sstream>
#include <string>
#include <sys/resource.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace coir::test {
namespace {

TEST_F(names, what_is_looked_for_at_once_is_asked_for_once) {
    dns::server server{numbered};
    server.hold();
    coir::run([&] {
        resolver from{only(server)};
        std::vector<fiber<list>> all;
        for (int i = 0; i < 10; ++i)
            all.push_back(spawn([&, i] { return texts(from.resolve("N5", static_cast<std::uint16_t>(i))); }));
        fiber<std::error_code> impatient = spawn([&] { return failure_of(from, "n5", 1ms); });
        this_fiber::yield();
        EXPECT_EQ(from.open_queries(), 1U);
        all[3].cancel(); // disturbs nobody
        EXPECT_THROW(all[3].join(), cancelled);
        EXPECT_EQ(impatient.join(), std::errc::timed_out);
        server.release();
        for (int i = 0; i < 10; ++i) {
            if (i != 3) {
                EXPECT_EQ(all[static_cast<std::size_t>(i)].join(), list{"10.0.0.5:" + std::to_string(i)});
            }
        }
    });
    EXPECT_EQ(server.asked("n5"), 2U);
}

TEST_F(names, what_nobody_waits_for_is_given_up) {
    dns::server server{numbered};
    server.hold();
    coir::run([&] {
        const std::size_t before = open_descriptors();
        resolver from{only(server)};
        fiber<void> only_one = spawn([&] { static_cast<void>(from.resolve("n5", 1)); });
        this_fiber::yield();
        EXPECT_GT(open_descriptors(), before);
        only_one.cancel();
        EXPECT_THROW(only_one.join(), cancelled);
        EXPECT_EQ(from.open_queries(), 0U);
        EXPECT_EQ(open_descriptors(), before);
        server.release();
        EXPECT_EQ(texts(from.resolve("n5", 1)), list{"10.0.0.5:1"});
    });
}

// It ends with the last answer that somebody has waited for.
TEST_F(names, what_nobody_waits_for_does_not_go_on_after_the_others) {
    dns::server server{[](const dns::query& asked) { return asked.name == "slow" ? packets{} : numbered(asked); }};
    server.hold();
    coir::run([&] {
        const std::size_t before = open_descriptors();
        {
            resolver from{only(server)};
            fiber<std::error_code> impatient = spawn([&] { return failure_of(from, "slow", 1ms); });
            fiber<list> patient = spawn([&] { return texts(from.resolve("n5", 1)); });
            EXPECT_EQ(impatient.join(), std::errc::timed_out);
            EXPECT_EQ(from.open_queries(), 2U);
            server.release();
            EXPECT_EQ(patient.join(), list{"10.0.0.5:1"});
            EXPECT_EQ(from.open_queries(), 0U);
            EXPECT_EQ(open_descriptors(), before);
        } // nobody waits in it
    });
}

TEST_F(names, one_that_was_given_up_is_joined_again) {
    dns::server server{numbered};
    server.hold();
    coir::run([&] {
        resolver from{only(server)};
        fiber<list> other = spawn([&] { return texts(from.resolve("n6", 1)); });
        fiber<void> first = spawn([&] { static_cast<void>(from.resolve("n5", 1)); });
        this_fiber::yield();
        first.cancel();
        EXPECT_THROW(first.join(), cancelled);
        EXPECT_EQ(from.open_queries(), 2U); // n6 keeps the channel
        fiber<list> second = spawn([&] { return texts(from.resolve("n5", 1)); });
        this_fiber::yield();
        server.release();
        EXPECT_EQ(second.join(), list{"10.0.0.5:1"});
        EXPECT_EQ(other.join(), list{"10.0.0.6:1"});
    });
    EXPECT_EQ(server.asked("n5"), 2U);
}

TEST_F(names, cancellation) {
    dns::server server{numbered};
    server.hold();
    coir::run([&] {
        resolver from{only(server)};
        fiber<void> waiting = spawn([&] {
            EXPECT_EQ(failure_of(from, "n1"), std::errc::operation_canceled);
            EXPECT_EQ(failure_of(from, "127.0.0.1"), std::errc::operation_canceled); // sticky
            EXPECT_EQ(error_of([&](auto& error) {
                          static_cast<void>(from.name_of({"10.0.0.1", 1}, error));
                      }),
                      std::errc::operation_canceled);
            static_cast<void>(from.resolve("n1", 1));
        });
        this_fiber::yield();
        waiting.cancel();
        EXPECT_THROW(waiting.join(), cancelled);
        // By the deadline of a scope.
        cancel_scope scope{1ms};
        EXPECT_FALSE(scope.run([&] { static_cast<void>(from.resolve("n1", 1)); }));
    });
}

TEST_F(names, end_of_the_loop) {
    dns::server server{numbered};
    server.hold();
    resolver_options options = only(server);
    resolver from{options}; // outlives the loop
    coir::run([&] {
        for (int i = 0; i < 500; ++i)
            spawn([&, i] { static_cast<void>(from.resolve('n' + std::to_string(i), 1)); }).detach();
        this_fiber::yield();
        EXPECT_EQ(from.open_queries(), 500U);
    });
    EXPECT_EQ(from.open_queries(), 0U);
    server.release();
    coir::run([&] {
        EXPECT_EQ(texts(from.resolve("n5", 1)), list{"10.0.0.5:1"});
        // One that is not interrupted gets its answer while the loop winds down.
        spawn([&] {
            const shield in_peace;
            EXPECT_EQ(texts(from.resolve("n9", 1)), list{"10.0.0.9:1"});
        }).detach();
        this_fiber::yield();
    });
}

TEST_F(names, a_thousand_at_once) {
    dns::server server{numbered};
    server.hold();
    coir::run([&] {
        resolver from{only(server)};
        std::vector<fiber<list>> all;
        for (int i = 0; i < 1000; ++i)
            all.push_back(spawn([&, i] { return texts(from.resolve('n' + std::to_string(i), 1)); }));
        for (int i = 0; i < 3; ++i) // also those who will read the answers wait: they come after the cancelled ones
            this_fiber::yield();
        for (std::size_t i = 0; i < all.size(); i += 2)
            all[i].cancel();
        server.release();
        for (std::size_t i = 0; i < all.size(); ++i) {
            if (i % 2 == 0) {
                EXPECT_THROW(all[i].join(), cancelled) << i;
                continue;
            }
            EXPECT_EQ(all[i].join(), list{address_of('n' + std::to_string(i)) + ":1"});
        }
    });
}

TEST_F(names, two_loops_at_once) {
    const dns::server server{numbered};
    const auto look_up_many = [&] {
        coir::run([&] {
            resolver from{only(server)};
            std::vector<fiber<list>> all;
            for (int i = 0; i < 300; ++i)
                all.push_back(spawn([&, i] { return texts(from.resolve('n' + std::to_string(i), 1)); }));
            for (int i = 0; i < 300; ++i)
                EXPECT_EQ(all[static_cast<std::size_t>(i)].join(), list{address_of('n' + std::to_string(i)) + ":1"});
        });
    };
    std::thread other{look_up_many};
    look_up_many();
    other.join();
}

TEST_F(names, no_descriptors_left) {
    dns::server server{numbered};
    coir::run([&] {
        resolver from{only(server)};
        rlimit before{};
        ::getrlimit(RLIMIT_NOFILE, &before);
        rlimit none = before;
        none.rlim_cur = 0; // none that is new
        ::setrlimit(RLIMIT_NOFILE, &none);
        const std::error_code error = failure_of(from, "n1");
        ::setrlimit(RLIMIT_NOFILE, &before);
        EXPECT_EQ(error, std::errc::too_many_files_open);
        EXPECT_EQ(texts(from.resolve("n1", 1)), list{"10.0.0.1:1"});
    });
}

TEST_F(names, misuse) {
    EXPECT_THROW(static_cast<void>(net::resolve("localhost", 1)), std::logic_error);
    EXPECT_THROW(static_cast<void>(net::name_of({"127.0.0.1", 1})), std::logic_error);
    EXPECT_EQ(error_of([](auto& error) { static_cast<void>(net::resolve("localhost", 1, error)); }),
              std::errc::operation_not_permitted);
    EXPECT_EQ(error_of([](auto& error) {
                  static_cast<void>(net::name_of({"127.0.0.1", 1}, error));
              }),
              std::errc::operation_not_permitted);
}

TEST(names_death, destroyed_while_somebody_waits) {
    EXPECT_DEATH(coir::run([] {
                     dns::server silent{[](const dns::query&) -> packets { return {}; }};
                     auto from = std::make_unique<resolver>(only(silent));
                     fiber<void> waiting = spawn([&] { static_cast<void>(from->resolve("n1.test", 1)); });
                     this_fiber::yield();
                     from.reset();
                 }),
                 "waits in it for an answer about n1.test");
}

// It destroys what belongs to the thread, but not that: a fiber waits in it.
TEST(names_of_the_thread, may_be_waited_for_when_a_fiber_calls_exit) {
    const auto end = ::in_child([] {
        std::atexit([] { ::_exit(42); }); // LeakSanitizer does not look at the stacks of fibers
        coir::run([] {
            const fiber<void> waiting = spawn([] {
                std::error_code error;
                static_cast<void>(net::resolve("n1.test", 1, error));
            });
            this_fiber::yield();
            std::exit(1);
        });
        return true;
    });
    EXPECT_TRUE(end.exited_with(42)) << end.status;
    EXPECT_EQ(end.errors, "");
}

TEST(names_of_the_thread, are_found_also_while_it_ends) {
    struct asks_at_the_end {
        bool* has_found;
        ~asks_at_the_end() {
            *has_found = coir::run([] { return !net::resolve("localhost", 1).empty(); });
        }
    };
    bool has_found = false;
    std::thread{[&] {
        static thread_local const asks_at_the_end last{&has_found}; // destroyed after the resolver, which is made later
        coir::run([] { static_cast<void>(net::resolve("localhost", 1)); });
    }}.join();
    EXPECT_TRUE(has_found);
}

// The child goes on with what the parent's fibers were asking for, and closes nothing of the parent's.
TEST_F(names, in_a_child_process) {
    dns::server server{numbered};
    server.hold();
    coir::run([&] {
        resolver from{only(server)};
        fiber<list> waiting = spawn([&] { return texts(from.resolve("n1", 1)); });
        this_fiber::yield();
        while (server.asked("n1") < 2)
            this_fiber::yield();
        const pid_t child = fork_dependent();
        if (child == 0) {
            const std::error_code error = failure_of(from, "n1", 20ms);
            ::_exit(error == std::errc::timed_out && from.open_queries() == 0 ? 0 : 1);
        }
        EXPECT_EQ(exit_status_of(child), 0);
        EXPECT_EQ(server.asked("n1"), 4U);
        server.release();
        EXPECT_EQ(waiting.join(), list{"10.0.0.1:1"});
    });
}

} // namespace
} // namespace coir::test
