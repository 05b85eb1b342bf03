/// \file
/// condition_ping_pong: a round trip between two fibers by condition variable.

#include "libraries.hpp"
#include "ping_pong.hpp"
#include "stopwatch.hpp"
#include "sync_bench.hpp"

#include <boost/fiber/condition_variable.hpp>
#include <boost/fiber/mutex.hpp>
#include <coir/condition_variable.hpp>
#include <coir/mutex.hpp>

namespace {

template <class Library, class Mutex, class ConditionVariable> double round_trip(std::int64_t count) {
    return time_per_operation(count, [](std::int64_t round_trips) {
        ping_pong<Mutex, ConditionVariable> game;
        auto other = Library::spawn([&game, round_trips] { game.play(1, round_trips); });
        game.play(0, round_trips);
        other.join();
    });
}

} // namespace

std::vector<subject> condition_subjects() {
    return {{"condition_ping_pong", "coir", round_trip<by_coir, coir::mutex, coir::condition_variable>},
            {"condition_ping_pong", "boost",
             round_trip<by_boost, boost::fibers::mutex, boost::fibers::condition_variable>}};
}
