/// Fetches many pages at once: a fiber for each, so many at a time, each with its deadline and further attempts.

#include "fetch.hpp"

#include <coir/run.hpp>
#include <coir/task_group.hpp>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <chrono>
#include <exception>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

struct options {
    std::vector<std::string> addresses;
    std::string list; // file of more of them; "-": standard input
    std::size_t concurrency = 16;
    std::string authorities; // file of those to trust
    bool careless = false;   // https without verification
    http_client::fetch_options fetch;
};

/// The options, or what the program is to exit with.
std::optional<int> parse_command_line(int argc, char** argv, options& chosen) {
    CLI::App app{"Fetches pages over HTTP and HTTPS, many at once. Exit status 0: all have answered with 2xx."};
    app.add_option("URL", chosen.addresses, "pages to fetch");
    app.add_option("--list", chosen.list, "file with more of them, one a line; - for standard input");
    app.add_option("--concurrency", chosen.concurrency, "pages at a time")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
    const auto add_milliseconds = [&](const std::string& name, std::chrono::milliseconds& value,
                                      const std::string& help) {
        app.add_option_function<unsigned>(
               name, [&value](unsigned n) { value = std::chrono::milliseconds{n}; }, help + ", milliseconds")
            ->default_str(std::to_string(value.count()));
    };
    add_milliseconds("--deadline", chosen.fetch.page_time, "for a page, with all attempts");
    add_milliseconds("--attempt-timeout", chosen.fetch.attempt_time, "for one attempt");
    add_milliseconds("--pause", chosen.fetch.pause, "before the second attempt; then twice as long each time");
    app.add_option("--attempts", chosen.fetch.attempts, "attempts for a page")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
    app.add_option("--redirections", chosen.fetch.redirections, "to follow")->capture_default_str();
    app.add_option("--authorities", chosen.authorities, "PEM file of the authorities to trust instead of the system's");
    app.add_flag("--insecure", chosen.careless, "believe every certificate");
    try {
        app.parse(argc, argv);
        return std::nullopt;
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 2;
    }
}

void add_lines(std::istream& from, std::vector<std::string>& to) {
    for (std::string line; std::getline(from, line);)
        if (!line.empty() && !line.starts_with('#'))
            to.push_back(line);
}

void read_list(options& chosen) {
    if (chosen.list == "-")
        return add_lines(std::cin, chosen.addresses);
    std::ifstream file{chosen.list};
    if (!file)
        throw std::runtime_error("cannot read " + chosen.list);
    add_lines(file, chosen.addresses);
}

void print(const std::string& address, const http_client::page& page) {
    std::cout << std::setw(3) << page.status << std::setw(12) << page.bytes << " bytes" << std::fixed
              << std::setprecision(1) << std::setw(10) << page.took.count() << " ms  " << address;
    if (page.attempts > 1)
        std::cout << "  (" << page.attempts << " attempts)";
    if (!page.failure.empty())
        std::cout << "  " << page.failure;
    std::cout << '\n';
}

/// Prints each as it comes. The number of those that are not good.
std::size_t fetch_all(const options& chosen) {
    std::size_t bad = 0;
    coir::task_group group{.max_concurrent = chosen.concurrency};
    for (const std::string& address : chosen.addresses)
        group.spawn([&] { // waits while there are so many
            const http_client::page page = http_client::fetch(address, chosen.fetch);
            print(address, page);
            bad += page.is_good() ? 0 : 1;
        });
    group.join();
    return bad;
}

bool any_secure(const std::vector<std::string>& addresses) {
    return std::ranges::any_of(addresses, [](const std::string& each) { return each.starts_with("https:"); });
}

} // namespace

int main(int argc, char** argv) {
    options chosen;
    if (const std::optional<int> status = parse_command_line(argc, argv, chosen))
        return *status;
    try {
        if (!chosen.list.empty())
            read_list(chosen);
        // A redirection may lead to https as well; then it is an error unless there was some before.
        if (any_secure(chosen.addresses) || !chosen.authorities.empty() || chosen.careless) {
            coir::net::tls_client_options tls;
            tls.trust.file = chosen.authorities;
            tls.protocols = {"http/1.1"};
            tls.verify = !chosen.careless;
            chosen.fetch.tls = coir::net::tls_context::client(tls);
        }
        return coir::run([&] { return fetch_all(chosen); }) == 0 ? 0 : 1;
    } catch (const std::exception& error) {
        std::cerr << "http_client: " << error.what() << '\n';
        return 2;
    }
}
