/// The addresses of all names on the command line, looked up at once; as `getent ahosts`, which takes them one after the other.
///
///     resolve localhost www.debian.org 192.0.2.1

#include <coir/coir.hpp>

#include <chrono>
#include <cstddef>
#include <iostream>
#include <string>
#include <system_error>
#include <vector>

using namespace std::chrono_literals;

int main(int argc, char** argv) {
    return coir::run([&] {
        const std::vector<std::string> names(argv + 1, argv + argc);
        const coir::deadline limit = 10s; // for all together
        std::vector<std::string> lines(names.size());
        int failures = 0;
        {
            coir::task_group group{.max_concurrent = 1000};
            for (std::size_t i = 0; i < names.size(); ++i)
                group.spawn([&, i] {
                    try {
                        for (const coir::net::endpoint& each : coir::net::resolve(names[i], 0, {}, limit))
                            lines[i] += each.address() + '\t' + names[i] + '\n';
                    } catch (const std::system_error& failure) {
                        lines[i] = std::string{failure.what()} + '\n';
                        ++failures;
                    }
                });
        }
        for (const std::string& each : lines)
            std::cout << each;
        return failures == 0 ? 0 : 2;
    });
}
