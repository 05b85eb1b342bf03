// Exceptions belong to the execution that throws them, wherever it is suspended meanwhile (hazards A1, A3).

#include <coir/context.hpp>

#include <gtest/gtest.h>

#include <exception>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

using coir::context;

std::string current_message() {
    const std::exception_ptr current = std::current_exception();
    if (!current)
        return {};
    try {
        std::rethrow_exception(current);
    } catch (const std::exception& error) {
        return error.what();
    }
}

/// Resumes them all, in random order, until they have ended.
void run_in_random_order(std::vector<context>& contexts, unsigned seed) {
    std::minstd_rand random{seed};
    std::vector<context*> alive;
    for (context& each : contexts)
        alive.push_back(&each);
    while (!alive.empty()) {
        const std::size_t index = random() % alive.size();
        if (!alive[index]->resume()) {
            alive[index] = alive.back();
            alive.pop_back();
        }
    }
}

void throw_catch_and_suspend_in_between(context::self& self, const std::string& name) { // NOLINT
    const std::string first = name + ".1";
    const std::string second = name + ".2";
    const std::string third = name + ".3";
    try {
        try {
            self.suspend();
            throw std::runtime_error(first);
        } catch (const std::runtime_error& error) {
            self.suspend();
            ASSERT_EQ(error.what(), first);
            ASSERT_EQ(current_message(), first);
            try {
                try {
                    throw std::logic_error(second);
                } catch (const std::logic_error&) {
                    self.suspend();
                    ASSERT_EQ(current_message(), second);
                    try {
                        throw std::runtime_error(third);
                    } catch (...) {
                        self.suspend();
                        ASSERT_EQ(current_message(), third);
                    }
                    self.suspend();
                    ASSERT_EQ(current_message(), second);
                    throw; // the second
                }
            } catch (const std::logic_error& again) {
                self.suspend();
                ASSERT_EQ(again.what(), second);
            }
            self.suspend();
            ASSERT_EQ(current_message(), first);
            throw; // the first
        }
    } catch (const std::runtime_error& error) {
        self.suspend();
        ASSERT_EQ(error.what(), first);
    }
    ASSERT_EQ(current_message(), "");
    ASSERT_EQ(std::uncaught_exceptions(), 0);
}

TEST(exceptions, in_catch_blocks_are_not_mixed_up) {
    std::vector<context> contexts;
    for (int i = 0; i < 2; ++i)
        contexts.emplace_back(
            [name = std::to_string(i)](context::self& self) { throw_catch_and_suspend_in_between(self, name); });
    while (contexts[0].resume())
        contexts[1].resume();
    contexts[1].resume();
    EXPECT_TRUE(contexts[1].done());
    EXPECT_EQ(current_message(), "");
}

TEST(exceptions, of_a_thousand_contexts_in_random_order_are_not_mixed_up) {
    std::vector<context> contexts;
    for (int i = 0; i < 1000; ++i)
        contexts.emplace_back(
            [name = std::to_string(i)](context::self& self) { throw_catch_and_suspend_in_between(self, name); });
    run_in_random_order(contexts, 1);
    EXPECT_EQ(current_message(), "");
    EXPECT_EQ(std::uncaught_exceptions(), 0);
}

TEST(exceptions, handled_outside_are_not_seen_inside) {
    std::string seen = "nothing";
    context inside{[&](context::self& self) {
        seen = current_message();
        self.suspend();
        try {
            throw std::runtime_error("inside");
        } catch (const std::runtime_error&) {
            self.suspend();
            seen = current_message();
        }
    }};
    try {
        throw std::runtime_error("outside");
    } catch (const std::runtime_error&) {
        inside.resume();
        EXPECT_EQ(seen, "");
        EXPECT_EQ(current_message(), "outside");
        inside.resume();
        EXPECT_EQ(current_message(), "outside");
    }
    EXPECT_EQ(current_message(), "");
    inside.resume();
    EXPECT_EQ(seen, "inside");
    EXPECT_EQ(current_message(), "");
}

TEST(exceptions, arrive_at_resume) {
    context inside{[](context::self& self) {
        self.suspend();
        throw std::out_of_range("too far");
    }};
    EXPECT_TRUE(inside.resume());
    try {
        inside.resume();
        FAIL();
    } catch (const std::out_of_range& error) {
        EXPECT_STREQ(error.what(), "too far");
        EXPECT_EQ(std::uncaught_exceptions(), 0);
    }
    EXPECT_TRUE(inside.done());
    EXPECT_THROW(inside.resume(), std::logic_error);
}

TEST(exceptions, of_any_type_arrive_at_resume) {
    context inside{[](context::self& /*self*/) { throw 42; }};
    EXPECT_THROW(inside.resume(), int);
}

TEST(exceptions, pass_through_nested_contexts) {
    context outer{[](context::self& /*self*/) {
        context middle{[](context::self& /*self*/) {
            context inner{[](context::self& /*self*/) { throw std::runtime_error("from the depth"); }};
            inner.resume();
            FAIL();
        }};
        middle.resume();
        FAIL();
    }};
    EXPECT_THROW(outer.resume(), std::runtime_error);
}

TEST(exceptions, may_be_rethrown_by_another_thread_after_a_suspension_in_catch) {
    std::string caught;
    context inside{[&](context::self& self) {
        try {
            try {
                throw std::runtime_error("carried over");
            } catch (...) {
                self.suspend(); // and continues on another thread
                throw;
            }
        } catch (const std::runtime_error& error) {
            caught = error.what();
        }
    }};
    inside.resume();
    EXPECT_EQ(current_message(), "");
    std::thread([&] {
        inside.resume();
        EXPECT_EQ(current_message(), "");
        EXPECT_EQ(std::uncaught_exceptions(), 0);
    }).join();
    EXPECT_EQ(caught, "carried over");
}

TEST(exceptions, taken_in_a_catch_block_may_be_rethrown_by_another_thread) {
    std::exception_ptr taken;
    context inside{[&](context::self& self) {
        try {
            throw std::runtime_error("given away");
        } catch (...) {
            taken = std::current_exception();
            self.suspend();
        }
    }};
    inside.resume();
    std::thread([&] { EXPECT_THROW(std::rethrow_exception(taken), std::runtime_error); }).join();
    inside.resume();
    EXPECT_THROW(std::rethrow_exception(taken), std::runtime_error);
}

/// A destructor that waits in the midst of unwinding.
struct suspends_at_end {
    explicit suspends_at_end(context::self& self) : self_(self) {}
    ~suspends_at_end() {
        for (int i = 0; i < 3; ++i) {
            EXPECT_EQ(std::uncaught_exceptions(), 1);
            self_.suspend();
        }
        EXPECT_EQ(std::uncaught_exceptions(), 1);
    }
    suspends_at_end(const suspends_at_end&) = delete;
    suspends_at_end& operator=(const suspends_at_end&) = delete;

private:
    context::self& self_;
};

TEST(exceptions, are_counted_for_each_context_while_destructors_suspend) {
    std::vector<context> contexts;
    for (int i = 0; i < 50; ++i)
        contexts.emplace_back([i](context::self& self) {
            try {
                const suspends_at_end first{self};
                const suspends_at_end second{self};
                throw i;
            } catch (const int caught) {
                ASSERT_EQ(caught, i);
                ASSERT_EQ(std::uncaught_exceptions(), 0);
            }
        });
    // Some that have nothing to do with exceptions in between.
    for (int i = 0; i < 10; ++i)
        contexts.emplace_back([](context::self& self) {
            for (int turn = 0; turn < 10; ++turn) {
                self.suspend();
                ASSERT_EQ(std::uncaught_exceptions(), 0);
            }
        });
    run_in_random_order(contexts, 2);
    EXPECT_EQ(std::uncaught_exceptions(), 0);
}

/// Scope guards of the usual kind: what happened since the construction?
struct guard_of_scope {
    explicit guard_of_scope(int& failures, int& successes) : failures_(failures), successes_(successes) {}
    ~guard_of_scope() { ++(std::uncaught_exceptions() > before_ ? failures_ : successes_); }
    guard_of_scope(const guard_of_scope&) = delete;
    guard_of_scope& operator=(const guard_of_scope&) = delete;

private:
    int before_ = std::uncaught_exceptions();
    int& failures_;
    int& successes_;
};

TEST(exceptions, are_counted_right_for_scope_guards) {
    int failures = 0;
    int successes = 0;
    std::vector<context> contexts;
    for (int i = 0; i < 20; ++i)
        contexts.emplace_back([&, i](context::self& self) {
            try {
                const suspends_at_end last{self};
                const guard_of_scope outer{failures, successes};
                {
                    const guard_of_scope inner{failures, successes};
                    self.suspend();
                }
                throw i;
            } catch (int) {
                const guard_of_scope inner{failures, successes};
                self.suspend();
            }
        });
    run_in_random_order(contexts, 3);
    EXPECT_EQ(failures, 20);
    EXPECT_EQ(successes, 40);
}

TEST(exceptions, unwinding_outside_are_not_seen_by_what_a_destructor_resumes) {
    int inside_count = -1;
    int outside_count = -1;
    context inside{[&](context::self& self) {
        for (;;) {
            inside_count = std::uncaught_exceptions();
            try {
                throw std::runtime_error("inside");
            } catch (const std::runtime_error&) {}
            self.suspend();
        }
    }};
    struct resumes_at_end {
        context& other;
        int& count;
        ~resumes_at_end() {
            other.resume();
            count = std::uncaught_exceptions();
        }
    };
    try {
        const resumes_at_end at_end{inside, outside_count};
        throw std::runtime_error("outside");
    } catch (const std::runtime_error& error) {
        EXPECT_STREQ(error.what(), "outside");
    }
    EXPECT_EQ(inside_count, 0);
    EXPECT_EQ(outside_count, 1);
    inside.resume();
    EXPECT_EQ(inside_count, 0);
}

struct thrower {
    explicit thrower(context::self& self, std::string& log) try : number_(fail(self)) {
    } catch (const std::runtime_error& error) {
        self.suspend();
        log += error.what(); // and rethrows
    }
    static int fail(context::self& self) {
        self.suspend();
        throw std::runtime_error("a member");
    }
    int number_;
};

TEST(exceptions, in_function_try_blocks_are_not_mixed_up) {
    std::string log;
    const auto construct = [&](context::self& self) {
        try {
            const thrower never{self, log};
            FAIL() << never.number_;
        } catch (const std::runtime_error& error) {
            self.suspend();
            log += error.what();
        }
    };
    context one{construct};
    context other{construct};
    while (one.resume())
        EXPECT_TRUE(other.resume());
    EXPECT_FALSE(other.resume());
    EXPECT_EQ(log, "a membera membera membera member");
}

TEST(exceptions, left_behind_by_a_context_do_not_reach_the_next_user_of_its_stack) {
    {
        context abandoned{[](context::self& self) {
            try {
                throw std::runtime_error("old");
            } catch (...) {
                self.suspend();
            }
        }};
        abandoned.resume();
    }
    int count = -1;
    std::string message = "unset";
    context next{[&](context::self& /*self*/) {
        count = std::uncaught_exceptions();
        message = current_message();
    }};
    next.resume();
    EXPECT_EQ(count, 0);
    EXPECT_EQ(message, "");
    EXPECT_EQ(std::uncaught_exceptions(), 0);
    EXPECT_EQ(current_message(), "");
}

} // namespace
