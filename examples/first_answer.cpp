/// The same question to several servers: the first answer wins, the other questions are withdrawn.

#include <coir/run.hpp>
#include <coir/task_group.hpp>
#include <coir/this_fiber.hpp>

#include <chrono>
#include <iostream>
#include <optional>
#include <string>
#include <utility>
#include <vector>

using namespace std::chrono_literals;

namespace {

std::string fetch(const std::string& mirror) {
    coir::this_fiber::sleep_for(mirror == "near" ? 1ms : 24h);
    return "page from " + mirror;
}

std::string fetch_from_fastest(const std::vector<std::string>& mirrors) {
    std::optional<std::string> fastest;
    coir::task_group group;
    for (const std::string& mirror : mirrors)
        group.spawn([&] {
            std::string page = fetch(mirror);
            if (!fastest)
                fastest = std::move(page);
            group.cancel(); // the others need not go on
        });
    group.join(); // returns when they have ended
    return fastest.value();
}

} // namespace

int main() {
    return coir::run([] {
        const std::string page = fetch_from_fastest({"far", "near", "farther"});
        std::cout << page << '\n';
        return page == "page from near" ? 0 : 1;
    });
}
