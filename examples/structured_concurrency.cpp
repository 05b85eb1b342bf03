/// Fibers that begin and end together, what one failure does to the others, and how to stop waiting for a whole piece of work.

#include <coir/coir.hpp>

#include <chrono>
#include <cstddef>
#include <iostream>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

using namespace std::chrono_literals;

namespace {

const coir::context_var<std::string> request{"none"};

std::string fetch(const std::string& name) { // from a service that is slow now and then
    coir::this_fiber::sleep_for(name == "slow" ? 24h : 1ms);
    if (name == "broken")
        throw std::runtime_error("cannot fetch " + name);
    return name + " for request " + *request;
}

std::vector<std::string> fetch_all(const std::vector<std::string>& names) {
    std::vector<std::string> pages(names.size());
    coir::task_group group{.max_concurrent = 8};
    for (std::size_t i = 0; i < names.size(); ++i)
        group.spawn([&, i] { pages[i] = fetch(names[i]); });
    group.join(); // all pages are there, or the first failure is thrown
    return pages;
}

std::string first_failure_of(const std::vector<std::string>& names) {
    try {
        fetch_all(names);
    } catch (const std::runtime_error& first) {
        return first.what() + (" and " + std::to_string(coir::exception_group::current().size() - 1)) + " more";
    }
    return {};
}

std::optional<std::string> fetch_in_time(const std::string& name) {
    return coir::try_with_timeout(20ms, [&] { return fetch(name); });
}

void fetch_and_say_goodbye(const std::string& name) {
    try {
        fetch(name);
    } catch (const coir::cancelled&) {
        const coir::shield in_peace{1s}; // cancellation does not reach in, but not for ever
        fetch("good-bye");
        throw;
    }
}

bool ends_in_time(const std::string& name) {
    coir::cancel_scope scope{20ms};
    return scope.run([&] { fetch_and_say_goodbye(name); });
}

std::size_t count_letters(std::string text) {
    return coir::offload([text = std::move(text)] { return text.size(); }); // stands for a long computation
}

} // namespace

int main() {
    return coir::run([] {
        const auto bound = request.bind("42"); // seen by all fibers that are spawned from here on
        for (const std::string& page : fetch_all({"news", "weather"}))
            std::cout << page << '\n';
        std::cout << first_failure_of({"broken", "broken", "slow"}) << '\n';
        const bool stopped = fetch_in_time("news") && !fetch_in_time("slow") && !ends_in_time("slow");
        return stopped && count_letters("letters") == 7 ? 0 : 1;
    });
}
