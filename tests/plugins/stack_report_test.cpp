// The report of how deep stacks have been names lines of plugins' source, also when the plugins are no longer there.

#include "child_process.hpp"
#include "plugins/load.hpp"

#include <coir/run.hpp>
#include <coir/stack_report.hpp>

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>

namespace {

bool is_mapped(const std::string& file) {
    std::ifstream maps{"/proc/self/maps"};
    for (std::string line; std::getline(maps, line);)
        if (line.find(file) != std::string::npos)
            return true;
    return false;
}

/// Loads a plugin that spawns a fiber, and unloads it. True if it is really gone.
template <class Function> bool with_plugin(Function use) {
    const std::string path = plugin_paths().front();
    const loaded_plugin guest = load(path);
    use(*guest.interface);
    ::dlclose(guest.handle);
    return !is_mapped(path);
}

TEST(stack_report, names_files_of_plugins_that_have_been_unloaded) {
    const auto end = in_child([] {
        return coir::run(
            [] {
                const bool is_gone = with_plugin([](const plugin& guest) {
                    EXPECT_THROW(guest.spawn_failing(source::misuse).join(), std::logic_error);
                });
                bool is_named = false;
                for (const coir::stack_usage& each : coir::stack_report())
                    is_named = is_named || std::string_view{each.site.file}.ends_with("plugin.cpp");
                return is_gone && is_named;
            },
            {.measure_stacks = true});
    });
    EXPECT_TRUE(end.exited_well()) << end.status << end.errors;
}

TEST(stack_report, names_them_at_exit) {
    const auto end = in_child([] {
        ::setenv("COIR_STACK_REPORT", "1", 1);
        const bool is_gone = with_plugin([](const plugin& guest) { EXPECT_TRUE(guest.live()); });
        std::exit(is_gone ? 0 : 1);
        return true;
    });
    EXPECT_TRUE(end.exited_well()) << end.status << end.errors;
    EXPECT_TRUE(end.says("plugin.cpp:")) << end.errors;
}

} // namespace
