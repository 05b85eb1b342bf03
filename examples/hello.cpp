/// Spawn and join: a value, an exception, and who runs when.

#include <coir/fiber.hpp>
#include <coir/run.hpp>
#include <coir/this_fiber.hpp>

#include <chrono>
#include <iostream>
#include <stdexcept>
#include <string>

using namespace std::chrono_literals;

namespace {

std::string greet(const std::string& name, std::chrono::milliseconds pause) {
    coir::this_fiber::sleep_for(pause); // looks like blocking; only this fiber waits
    std::cout << "  (" << name << " is ready)\n";
    return "hello, " + name;
}

} // namespace

int main() {
    return coir::run([] {
        // Both fibers sleep at the same time: this takes 30 ms, not 50, and the second is ready first.
        coir::fiber<std::string> first = coir::spawn(greet, "world", 30ms);
        coir::fiber<std::string> second = coir::spawn(greet, "fiber", 20ms);
        std::cout << first.join() << '\n';  // waits for the end of the function and takes its value
        std::cout << second.join() << '\n'; // has ended meanwhile: no waiting

        // An exception ends its fiber, and no other. It arrives where the fiber is joined.
        coir::fiber<int> failing = coir::spawn([]() -> int { throw std::runtime_error{"no luck"}; });
        try {
            std::cout << failing.join() << '\n';
        } catch (const std::runtime_error& error) {
            std::cout << "caught: " << error.what() << '\n';
            return 0; // what run() returns
        }
        return 1;
    });
}
