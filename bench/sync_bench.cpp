/// \file
/// The rows about synchronisation: one side of one of them, in turns.
///
///     sync_bench ROW LIBRARY
///
/// For each line of standard input, which is a number of operations, carries them out and prints what one took, in
/// nanoseconds. scripts/bench.py has two such processes, one for each side, and gives them their turns.
///
/// There is always a second thread, which sleeps: without one, coir and the C library leave out the bus locks of their
/// atomic operations, and the rows would not hold for most programs.

#include "sync_bench.hpp"

#include <coir/run.hpp>

#include <cstdint>
#include <exception>
#include <functional>
#include <iostream>
#include <semaphore>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

subject find_subject(std::string_view row, std::string_view library) {
    for (auto subjects : {mutex_subjects, channel_subjects, condition_subjects, select_subjects, cross_thread_subjects,
                          skynet_subjects})
        for (const subject& each : subjects())
            if (each.row == row && each.library == library)
                return each;
    throw std::runtime_error{"there is no " + std::string{row} + " by " + std::string{library}};
}

void take_turns(const subject& side) {
    // Nothing else runs meanwhile, so the loop may wait for the next line as a thread does.
    for (std::int64_t count = 0; std::cin >> count;)
        std::cout << side.measure(count) << std::endl;
}

} // namespace

int main(int argc, char** argv) try {
    if (argc != 3)
        throw std::runtime_error{"usage: sync_bench ROW LIBRARY"};
    const subject side = find_subject(argv[1], argv[2]);
    std::binary_semaphore ended{0};
    std::jthread sleeper{[&ended] { ended.acquire(); }};
    try {
        if (side.library == "coir")
            coir::run([&side] { take_turns(side); });
        else
            take_turns(side);
    } catch (...) {
        ended.release();
        throw;
    }
    ended.release();
} catch (const std::exception& error) {
    std::cerr << "sync_bench: " << error.what() << '\n';
    return 1;
}
