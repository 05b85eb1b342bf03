/// \file
/// cross_thread_wake: a round trip between two threads on two cores, by condition variable: fibers of two loops, against
/// threads. All sleep in the kernel until they are woken. The wall clock, since it is about waiting.

#include "ping_pong.hpp"
#include "stopwatch.hpp"
#include "sync_bench.hpp"

#include <coir/condition_variable.hpp>
#include <coir/mutex.hpp>
#include <coir/run.hpp>

#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <system_error>
#include <thread>

#include <sched.h>

namespace {

/// Keeps the calling thread on the `number`th of the cores that the process may use.
void stay_on_core(int number) {
    cpu_set_t allowed;
    cpu_set_t one;
    CPU_ZERO(&one);
    if (::sched_getaffinity(0, sizeof allowed, &allowed) == 0)
        for (int core = 0; core < CPU_SETSIZE; ++core)
            if (CPU_ISSET(core, &allowed) && number-- == 0)
                CPU_SET(core, &one);
    if (::sched_setaffinity(0, sizeof one, &one) != 0)
        throw std::system_error{errno, std::generic_category(), "cross_thread_wake needs two cores"};
}

struct in_loop {
    template <class Function> static void run(Function function) { coir::run(function); }
};

struct in_thread {
    template <class Function> static void run(Function function) { function(); }
};

template <class Where, class Mutex, class ConditionVariable> double round_trip(std::int64_t count) {
    const std::int64_t warm_up = count / 10 + 1;
    ping_pong<Mutex, ConditionVariable> game;
    double result = 0;
    const auto play = [&](int player) {
        stay_on_core(player);
        Where::run([&] {
            game.play(player, warm_up);
            const stopwatch watch{stopwatch::time::wall};
            game.play(player, count);
            if (player == 0)
                result = watch.nanoseconds() / static_cast<double>(count);
        });
    };
    {
        const std::jthread first{play, 0};
        const std::jthread second{play, 1};
    }
    return result;
}

} // namespace

std::vector<subject> cross_thread_subjects() {
    return {{"cross_thread_wake", "coir", round_trip<in_loop, coir::mutex, coir::condition_variable>},
            {"cross_thread_wake", "std", round_trip<in_thread, std::mutex, std::condition_variable>}};
}
