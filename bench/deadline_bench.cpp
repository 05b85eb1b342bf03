/// \file
/// sleep_arm_cancel: what a deadline that never fires adds to a read that waits, while 100,000 fibers sleep.
///
/// Two fibers send a byte to and fro through pipes, so that each read waits, with a deadline and without one in turn: A B
/// B A. The difference is small against the system calls that both have, so it is the median of many turns. Prints the
/// nanoseconds of processor time that a deadline adds
/// - when it is a time like the sleepers' own, half of which come before it,
/// - when it is earlier than all of them,
/// - when it is a duration, from which each read makes a deadline: that reads the clock.
///
///     deadline_bench PAIRS ROUND_TRIPS_PER_TURN

#include "stopwatch.hpp"

#include <coir/deadline.hpp>
#include <coir/descriptor.hpp>
#include <coir/fiber.hpp>
#include <coir/io.hpp>
#include <coir/run.hpp>
#include <coir/this_fiber.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <exception>
#include <iostream>
#include <span>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

using namespace std::chrono_literals;

namespace {

struct pipe {
    pipe() {
        if (::pipe2(ends.data(), O_NONBLOCK | O_CLOEXEC) != 0)
            throw std::system_error{errno, std::generic_category(), "pipe2"};
    }
    ~pipe() {
        for (const int end : ends)
            coir::io::close(end);
    }
    pipe(const pipe&) = delete;
    pipe& operator=(const pipe&) = delete;

    void send() const { coir::io::write_all(ends[1], std::array<std::byte, 1>{}); }
    void receive(coir::deadline until) const {
        std::array<std::byte, 1> byte{};
        if (coir::io::read_some(ends[0], byte, until) != 1)
            throw std::runtime_error{"the pipe has ended"};
    }

    std::array<int, 2> ends{};
};

/// What one read takes, with its share of everything else. `make_deadline()` makes the deadline of each.
template <class MakeDeadline>
double time_per_read(const pipe& to, const pipe& fro, long round_trips, MakeDeadline make_deadline) {
    auto echo = coir::spawn([&] {
        for (long i = 0; i < round_trips; ++i) {
            to.receive(make_deadline());
            fro.send();
        }
    });
    const stopwatch watch;
    for (long i = 0; i < round_trips; ++i) {
        to.send();
        fro.receive(make_deadline());
    }
    const double time = watch.nanoseconds();
    echo.join();
    return time / static_cast<double>(2 * round_trips);
}

double median(std::vector<double> values) {
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
}

template <class MakeDeadline> double cost_of_deadline(int pairs, long round_trips, MakeDeadline make_deadline) {
    const pipe to;
    const pipe fro;
    const auto with = [&] { return time_per_read(to, fro, round_trips, make_deadline); };
    const auto without = [&] { return time_per_read(to, fro, round_trips, [] { return coir::deadline::never(); }); };
    with();
    without();
    std::vector<double> differences;
    for (int i = 0; i < pairs; ++i) {
        const double first = with();
        const double others = without() + without();
        differences.push_back((first + with() - others) / 2);
    }
    return median(differences);
}

/// 100,000 fibers that wake between one hour and three hours from `now`, in no order.
void spawn_sleepers(std::chrono::steady_clock::time_point now) {
    constexpr long sleepers = 100'000;
    for (long i = 0; i < sleepers; ++i) {
        const coir::deadline wake = now + 1h + i * 7919 % sleepers * (2h / sleepers);
        coir::spawn([wake] { coir::this_fiber::sleep_until(wake); }).detach();
    }
    coir::this_fiber::yield(); // now all have started
}

void print_costs(int pairs, long round_trips) {
    const auto now = std::chrono::steady_clock::now();
    spawn_sleepers(now);
    const auto print = [=](auto make_deadline) {
        std::cout << cost_of_deadline(pairs, round_trips, make_deadline) << '\n';
    };
    print([until = now + 2h]() mutable { return coir::deadline{until += 1ns}; });
    print([until = now + 30min]() mutable { return coir::deadline{until += 1ns}; });
    print([] { return coir::deadline{2h}; });
}

} // namespace

int main(int argc, char** argv) try {
    if (argc != 3)
        throw std::runtime_error{"usage: deadline_bench PAIRS ROUND_TRIPS_PER_TURN"};
    coir::run([pairs = std::stoi(argv[1]), round_trips = std::stol(argv[2])] { print_costs(pairs, round_trips); });
} catch (const std::exception& error) {
    std::cerr << "deadline_bench: " << error.what() << '\n';
    return 1;
}
