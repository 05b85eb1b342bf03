// Boost.Context switches stacks too, and from 1.88 on it moves the exceptions as we do. One within the other: each is moved
// once (hazard A2). Not under a sanitizer, whom Debian's Boost does not tell of its switches.

#include <coir/context.hpp>

#include <gtest/gtest.h>

#if !defined(COIR_ASAN) && !defined(COIR_TSAN)

#include <boost/coroutine2/coroutine.hpp>

#include <exception>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using coir::context;
using numbers = boost::coroutines2::coroutine<int>;

void expect_no_exceptions() {
    EXPECT_EQ(std::uncaught_exceptions(), 0);
    EXPECT_EQ(std::current_exception(), nullptr);
}

TEST(boost_coroutine, runs_inside_a_context) {
    std::vector<int> seen;
    context inside{[&](context::self& self) {
        numbers::pull_type source{[&](numbers::push_type& sink) {
            for (int i = 0; i < 5; ++i) {
                self.suspend(); // from the coroutine's stack
                sink(i);
            }
        }};
        for (const int number : source) {
            seen.push_back(number);
            self.suspend();
        }
    }};
    while (inside.resume())
        expect_no_exceptions();
    EXPECT_EQ(seen, (std::vector{0, 1, 2, 3, 4}));
}

TEST(boost_coroutine, may_use_a_context) {
    numbers::pull_type source{[](numbers::push_type& sink) {
        int number = 0;
        context counter{[&](context::self& self) {
            for (number = 0; number < 5; ++number) {
                self.suspend();
                sink(-number); // from the context's stack
            }
        }};
        while (counter.resume())
            sink(number);
    }};
    std::vector<int> seen;
    for (const int number : source) {
        seen.push_back(number);
        expect_no_exceptions();
    }
    EXPECT_EQ(seen, (std::vector{0, 0, 1, -1, 2, -2, 3, -3, 4, -4}));
}

TEST(boost_coroutine, inside_a_context_throws_to_it) {
    std::string caught;
    context inside{[&](context::self& self) {
        try {
            numbers::pull_type source{[&](numbers::push_type& sink) {
                sink(1);
                self.suspend();
                throw std::runtime_error("from boost");
            }};
            source();
        } catch (const std::runtime_error& error) {
            self.suspend();
            caught = error.what();
            EXPECT_EQ(std::uncaught_exceptions(), 0);
        }
    }};
    while (inside.resume())
        expect_no_exceptions();
    EXPECT_EQ(caught, "from boost");
    expect_no_exceptions();
}

TEST(boost_coroutine, gets_what_a_context_in_it_throws) {
    std::string caught;
    {
        numbers::pull_type source{[&](numbers::push_type& sink) {
            try {
                context inside{[&](context::self& self) {
                    sink(1);
                    self.suspend();
                    throw std::runtime_error("from coir");
                }};
                inside.resume();
                inside.resume();
            } catch (const std::runtime_error& error) {
                caught = error.what();
                EXPECT_EQ(std::uncaught_exceptions(), 0);
            }
            sink(2); // not in the handler: Boost before 1.88 would show the exception to its caller
        }};
        while (source) {
            expect_no_exceptions();
            source();
        }
    }
    EXPECT_EQ(caught, "from coir");
    expect_no_exceptions();
}

TEST(boost_coroutine, abandoned_inside_a_context_is_unwound) {
    bool unwound = false;
    struct sets {
        bool& value;
        ~sets() { value = true; }
    };
    {
        context inside{[&](context::self& self) {
            numbers::pull_type source{[&](numbers::push_type& sink) {
                const sets at_end{unwound};
                sink(1);
                sink(2);
            }};
            self.suspend(); // and is destroyed here
        }};
        inside.resume();
    }
    EXPECT_TRUE(unwound);
    expect_no_exceptions();
}

TEST(boost_coroutine, abandoned_with_a_context_in_it_unwinds_that) {
    bool unwound = false;
    struct sets {
        bool& value;
        ~sets() { value = true; }
    };
    {
        numbers::pull_type source{[&](numbers::push_type& sink) {
            context inside{[&](context::self& self) {
                const sets at_end{unwound};
                self.suspend();
            }};
            inside.resume();
            sink(1);
        }};
    }
    EXPECT_TRUE(unwound);
    expect_no_exceptions();
}

} // namespace

#endif
