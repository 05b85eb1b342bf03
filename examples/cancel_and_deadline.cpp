/// Two ways to stop waiting: somebody cancels the fiber, or its deadline passes.

#include <coir/cancelled.hpp>
#include <coir/deadline.hpp>
#include <coir/descriptor.hpp>
#include <coir/fiber.hpp>
#include <coir/run.hpp>
#include <coir/this_fiber.hpp>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <iostream>
#include <span>
#include <system_error>

#include <fcntl.h>
#include <unistd.h>

using namespace std::chrono_literals;

namespace {

struct lamp {
    lamp() { std::cout << "lamp on\n"; }
    ~lamp() { std::cout << "lamp off\n"; }
};

bool cancel_a_sleeper() {
    coir::fiber<void> sleeper = coir::spawn([] {
        const lamp light;
        coir::this_fiber::sleep_for(24h);
    });
    coir::this_fiber::yield(); // let it begin
    sleeper.cancel();          // its sleep throws coir::cancelled, which unwinds its stack
    try {
        sleeper.join();
    } catch (const coir::cancelled&) {
        std::cout << "the sleeper was cancelled\n";
        return true;
    }
    return false;
}

bool read_with_a_deadline() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) != 0)
        throw std::system_error{errno, std::generic_category(), "pipe"};
    coir::io::descriptor in{ends[0]};
    coir::io::descriptor out{ends[1]};
    out.write_all(std::as_bytes(std::span{"half"}).first(4));

    std::array<std::byte, 8> record{};
    const coir::deadline limit = 20ms; // one point of time, for as many calls as share it
    try {
        in.read_all(record, limit); // wants 8 bytes
    } catch (const coir::io::transfer_error& error) {
        std::cout << "timed out after " << error.bytes_transferred() << " bytes\n"; // none is lost
        return error.code() == std::errc::timed_out && error.bytes_transferred() == 4;
    }
    return false;
}

bool wait_with_a_deadline() {
    coir::fiber<int> slow = coir::spawn([] {
        coir::this_fiber::sleep_for(50ms);
        return 7;
    });
    while (!slow.wait(10ms))
        std::cout << "not yet\n";
    return slow.join() == 7;
}

} // namespace

int main() {
    return coir::run([] { return cancel_a_sleeper() && read_with_a_deadline() && wait_with_a_deadline() ? 0 : 1; });
}
