// Plugins that use coir come and go, a thousand times, while other threads run loops. This program itself is not linked with
// coir: the first plugin brings it.

#include "plugins/load.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

namespace {

struct mappings {
    std::size_t count = 0;
    bool contain = false;
};

/// How many mappings the process has, and whether one is of `file`.
mappings mappings_of(const std::string& file) {
    std::ifstream maps{"/proc/self/maps"};
    mappings result;
    for (std::string line; std::getline(maps, line); ++result.count)
        result.contain = result.contain || line.find(file) != std::string::npos;
    return result;
}

/// How many it has when the threads' loops have none, which come and go with each run: the fewest of many looks.
std::size_t lasting_mappings() {
    std::size_t fewest = SIZE_MAX;
    for (int look = 0; look < 200; ++look)
        fewest = std::min(fewest, mappings_of("").count);
    return fewest;
}

std::size_t resident_kibibytes() {
    std::ifstream status{"/proc/self/status"};
    for (std::string line; std::getline(status, line);)
        if (line.starts_with("VmRSS:"))
            return std::stoul(line.substr(6));
    return 0;
}

TEST(plugins, may_be_loaded_and_unloaded_a_thousand_times_while_loops_run) {
    const std::vector<std::string> paths = plugin_paths();
    ASSERT_EQ(paths.size(), 2U);
    const std::string& comes_and_goes = paths[0];
    const loaded_plugin stays = load(paths[1]);

    std::atomic<bool> done = false;
    std::atomic<bool> well = true;
    std::vector<std::thread> threads;
    for (int i = 0; i < 2; ++i)
        threads.emplace_back([&] {
            while (!done)
                well = stays.interface->live() && well;
        });

    std::size_t mappings_before = 0;
    std::size_t kibibytes_before = 0;
    for (int round = 0; round < 1000; ++round) {
        const loaded_plugin guest = load(comes_and_goes);
        EXPECT_TRUE(round % 10 != 0 || guest.interface->live());
        EXPECT_EQ(::dlclose(guest.handle), 0);
        if (round == 300) {
            mappings_before = lasting_mappings();
            kibibytes_before = resident_kibibytes();
        }
    }
    EXPECT_LE(lasting_mappings(), mappings_before + 50) << "700 times";
    EXPECT_LE(resident_kibibytes(), kibibytes_before + 1024);
    EXPECT_FALSE(mappings_of(comes_and_goes).contain) << "it was never unloaded";
    EXPECT_TRUE(mappings_of("libcoir.so").contain) << "fibers' stacks and threads' exits point into it";

    done = true;
    for (auto& each : threads)
        each.join();
    EXPECT_TRUE(well);
}

} // namespace
