// Exceptions are caught by type wherever they come from: this program, coir, or plugins that were compiled with hidden
// visibility by gcc and by clang, and loaded so that none sees the other's symbols (hazard A10).

#include "plugins/load.hpp"

#include <coir/context.hpp>
#include <coir/run.hpp>
#include <coir/this_fiber.hpp>

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace {

const std::vector<std::pair<source, std::string>> sources = {
    {source::cancelled, "cancelled"},
    {source::transfer_error, "transfer_error"},
    {source::timed_out, "timed_out"},
    {source::misuse, "misuse"},
    {source::own, "own"},
};

/// The program itself, and all plugins.
const std::vector<const plugin*>& parties() {
    static const std::vector<const plugin*> all = [] {
        std::vector<const plugin*> result{&coir_test_plugin};
        for (const std::string& path : plugin_paths())
            result.push_back(load(path).interface);
        return result;
    }();
    return all;
}

struct thrown {
    const plugin& by;
    source what;
};

/// `test`, with each pair of parties and each source.
template <class Test> void with_all(Test test) {
    coir::run([&] {
        for (const plugin* thrower : parties())
            for (const plugin* catcher : parties())
                for (const auto& [what, name] : sources) {
                    thrown exception{*thrower, what};
                    EXPECT_EQ(test(exception, *catcher), name);
                    EXPECT_EQ(std::uncaught_exceptions(), 0);
                    EXPECT_EQ(std::current_exception(), nullptr);
                }
    });
}

TEST(plugins, are_there) {
    EXPECT_EQ(parties().size(), 3U);
}

TEST(plugins, catch_what_others_throw) {
    with_all([](thrown& exception, const plugin& catcher) {
        return catcher.caught(
            [](void* argument) {
                const auto& from = *static_cast<thrown*>(argument);
                from.by.throw_from(from.what);
            },
            &exception);
    });
}

TEST(plugins, catch_what_others_fibers_end_by) {
    with_all([](thrown& exception, const plugin& catcher) {
        coir::fiber<int> failing = exception.by.spawn_failing(exception.what);
        return catcher.caught([](void* argument) { static_cast<coir::fiber<int>*>(argument)->join(); }, &failing);
    });
}

TEST(plugins, catch_what_others_throw_out_of_a_context) {
    with_all([](thrown& exception, const plugin& catcher) {
        coir::context failing{[&](coir::context::self& self) {
            self.suspend();
            exception.by.throw_from(exception.what);
        }};
        failing.resume();
        return catcher.caught([](void* argument) { static_cast<coir::context*>(argument)->resume(); }, &failing);
    });
}

TEST(plugins, may_switch_while_they_handle_each_others_exceptions) {
    coir::run([] {
        std::vector<coir::fiber<std::string>> fibers;
        for (const plugin* thrower : parties())
            for (const plugin* catcher : parties())
                fibers.push_back(coir::spawn([thrower, catcher] {
                    try {
                        thrower->throw_from(source::own);
                    } catch (const plugin_error&) {
                        coir::this_fiber::yield();
                        return catcher->caught([](void*) { throw; }, nullptr);
                    }
                    return std::string{};
                }));
        for (auto& each : fibers)
            EXPECT_EQ(each.join(), "own");
    });
}

} // namespace
