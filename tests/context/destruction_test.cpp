// Destroying a suspended context unwinds its stack: suspend() throws coir::cancelled there.

#include "child_process.hpp"
#include "emulation.hpp"

#include <coir/cancelled.hpp>
#include <coir/context.hpp>

#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <exception>
#include <memory>
#include <ostream>
#include <stdexcept>
#include <streambuf>
#include <string>
#include <thread>
#include <vector>

#if defined(__GLIBCXX__)
#include <cxxabi.h>
#endif

namespace {

using coir::context;

TEST(destruction, runs_the_destructors_on_the_stack) {
    const auto alive = std::make_shared<int>(0);
    {
        context inside{[alive](context::self& self) {
            const auto first = alive;
            const std::vector<std::shared_ptr<int>> more(3, alive);
            self.suspend();
            FAIL();
        }};
        inside.resume();
        EXPECT_EQ(alive.use_count(), 6);
    }
    EXPECT_EQ(alive.use_count(), 1);
}

TEST(destruction, of_a_context_that_was_never_resumed_only_destroys_its_function) {
    const auto alive = std::make_shared<int>(0);
    bool ran = false;
    {
        const context inside{[alive, &ran](context::self& /*self*/) { ran = true; }};
        EXPECT_EQ(alive.use_count(), 2);
    }
    EXPECT_EQ(alive.use_count(), 1);
    EXPECT_FALSE(ran);
}

TEST(destruction, of_a_context_that_has_ended_does_nothing_more) {
    int runs = 0;
    {
        context inside{[&](context::self& /*self*/) { ++runs; }};
        inside.resume();
    }
    EXPECT_EQ(runs, 1);
}

TEST(destruction, can_be_noticed_and_passed_on) {
    std::string log;
    {
        context inside{[&](context::self& self) {
            try {
                self.suspend();
            } catch (const coir::cancelled& end) {
                log += end.what();
                EXPECT_EQ(std::uncaught_exceptions(), 0);
                throw;
            }
        }};
        inside.resume();
    }
    EXPECT_EQ(log, "coir: cancelled");
}

TEST(destruction, is_not_stopped_by_catch_all) {
    int swallowed = 0;
    {
        context inside{[&](context::self& self) {
            for (int i = 0; i < 100; ++i) {
                try {
                    self.suspend();
                } catch (...) {
                    ++swallowed;
                }
            }
        }};
        inside.resume();
    }
    EXPECT_EQ(swallowed, 100);
}

TEST(destruction, is_not_stopped_by_a_stream) {
    struct suspending_buffer : std::streambuf {
        explicit suspending_buffer(context::self& self) : self_(self) {}
        int_type overflow(int_type character) override {
            self_.suspend();
            return character;
        }
        context::self& self_;
    };
    bool went_on = false;
    {
        context inside{[&](context::self& self) {
            suspending_buffer buffer{self};
            std::ostream stream{&buffer};
            stream << "ab";
            went_on = true;
        }};
        inside.resume();
        inside.resume();
    }
    EXPECT_FALSE(went_on);
}

struct suspends_at_end {
    context::self& self;
    int& times;
    ~suspends_at_end() {
        for (int i = 0; i < 3; ++i) {
            const int before = std::uncaught_exceptions();
            self.suspend();
            ++times;
            EXPECT_EQ(std::uncaught_exceptions(), before);
        }
    }
};

TEST(destruction, lets_a_destructor_on_the_stack_suspend) {
    int times = 0;
    {
        context inside{[&](context::self& self) {
            const suspends_at_end first{self, times};
            const suspends_at_end second{self, times};
            self.suspend();
            FAIL();
        }};
        inside.resume();
    }
    EXPECT_EQ(times, 6);
    EXPECT_EQ(std::uncaught_exceptions(), 0);
}

TEST(destruction, while_the_function_unwinds_from_its_own_exception_lets_that_go_on) {
    int times = 0;
    std::string log;
    {
        context inside{[&](context::self& self) {
            try {
                const suspends_at_end at_end{self, times};
                throw std::runtime_error("its own");
            } catch (const std::runtime_error& error) {
                log += error.what();
            }
            self.suspend();
            FAIL();
        }};
        inside.resume(); // suspended in the destructor
    }
    EXPECT_EQ(times, 3);
    EXPECT_EQ(log, "its own");
}

TEST(destruction, in_a_catch_block_keeps_the_exception_that_is_handled_there) {
    {
        context inside{[&](context::self& self) {
            try {
                throw std::runtime_error("inside");
            } catch (const std::runtime_error& error) {
                try {
                    self.suspend();
                } catch (const coir::cancelled&) {}
                EXPECT_STREQ(error.what(), "inside");
                try {
                    throw;
                } catch (const std::runtime_error& again) {
                    EXPECT_STREQ(again.what(), "inside");
                }
            }
        }};
        inside.resume();
    }
    EXPECT_EQ(std::current_exception(), nullptr);
}

TEST(destruction, during_unwinding_works_as_at_any_other_time) {
    bool unwound = false;
    try {
        struct sets {
            bool& value;
            ~sets() { value = true; }
        };
        context inside{[&](context::self& self) {
            const sets at_end{unwound};
            EXPECT_EQ(std::uncaught_exceptions(), 0);
            self.suspend();
            FAIL();
        }};
        inside.resume();
        throw std::runtime_error("outside");
    } catch (const std::runtime_error& error) {
        EXPECT_STREQ(error.what(), "outside");
        EXPECT_EQ(std::uncaught_exceptions(), 0);
    }
    EXPECT_TRUE(unwound);
}

TEST(destruction, unwinds_nested_contexts) {
    const auto alive = std::make_shared<int>(0);
    {
        context outer{[&](context::self& self) {
            const auto mine = alive;
            context inner{[&](context::self& inner_self) {
                const auto its = alive;
                inner_self.suspend();
            }};
            inner.resume();
            self.suspend();
        }};
        outer.resume();
        EXPECT_EQ(alive.use_count(), 3);
    }
    EXPECT_EQ(alive.use_count(), 1);
}

TEST(destruction, may_happen_in_another_context) {
    const auto alive = std::make_shared<int>(0);
    auto victim = std::make_unique<context>([&](context::self& self) {
        const auto its = alive;
        self.suspend();
    });
    victim->resume();
    context killer{[&](context::self& /*self*/) { victim.reset(); }};
    killer.resume();
    EXPECT_EQ(alive.use_count(), 1);
}

TEST(destruction, may_happen_in_another_thread) {
    const auto alive = std::make_shared<int>(0);
    context inside{[alive](context::self& self) {
        const auto its = alive;
        self.suspend();
    }};
    inside.resume();
    std::thread([last = std::move(inside)] {}).join();
    EXPECT_EQ(alive.use_count(), 1);
}

TEST(destruction, lets_the_function_resume_others) {
    int steps = 0;
    context other{[&](context::self& self) {
        for (;;) {
            ++steps;
            self.suspend();
        }
    }};
    {
        struct resumes {
            context& which;
            ~resumes() { which.resume(); }
        };
        context inside{[&](context::self& self) {
            const resumes at_end{other};
            self.suspend();
        }};
        inside.resume();
    }
    EXPECT_EQ(steps, 1);
    EXPECT_TRUE(other.resume());
}

TEST(destruction, that_ends_by_another_exception_says_so) {
    const auto end = in_child([] {
        context inside{[](context::self& self) {
            try {
                self.suspend();
            } catch (const coir::cancelled&) {
                throw std::runtime_error("instead");
            }
        }};
        inside.resume();
        return true;
    });
    EXPECT_TRUE(end.exited_well());
    EXPECT_TRUE(end.says("coir: a context that was being destroyed ended by another exception")) << end.errors;
}

TEST(destruction, of_a_running_context_ends_the_program_with_a_message) {
    const auto end = in_child([] {
        std::unique_ptr<context> itself;
        itself = std::make_unique<context>([&](context::self& /*self*/) { itself.reset(); });
        itself->resume();
        return true;
    });
    EXPECT_TRUE(end.was_killed_by(SIGABRT));
    EXPECT_TRUE(end.says("coir: a context is destroyed while it runs")) << end.errors;
}

#if defined(__GLIBCXX__)

// Whatever was destroyed before: what is thrown at the end of the process must still be known for what it is, or
// a stream, a packaged_task swallow it.
TEST(destruction, at_exit_still_passes_through_what_knows_forced_unwinding) {
    use_fresh_processes(); // in which nothing has been thrown yet
    const auto test = [] {
        static context remaining{[](context::self& self) {
            try {
                self.suspend();
            } catch (const abi::__forced_unwind&) {
                std::_Exit(0);
            } catch (...) {
                std::_Exit(2);
            }
        }};
        remaining.resume();
        context{[](context::self& self) { self.suspend(); }}.resume(); // the first exception
        std::exit(1);
    };
    EXPECT_EXIT(test(), testing::ExitedWithCode(0), "");
}

#endif

} // namespace
