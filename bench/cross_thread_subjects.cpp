/// \file
/// cross_thread_wake: a round trip between two threads on two cores, by condition variable: fibers of two loops, against
/// threads. Threads sleep in the kernel until they are woken; a loop looks out for a moment before it does (adaptive_spin.hpp), which
/// helps if the other side answers at once. cross_thread_wake_rare: each side computes for 100 us before it answers, so that
/// looking out is in vain. The wall clock, since it is about waiting.

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

constexpr double thinking_time = 100'000; // nanoseconds: more than anybody looks out

void think() {
    const stopwatch watch{stopwatch::time::wall};
    while (watch.nanoseconds() < thinking_time) {}
}

// Without the time in which they think.
template <class Where, class Mutex, class ConditionVariable, bool Thinks = false>
double round_trip(std::int64_t count) {
    const std::int64_t warm_up = count / 10 + 1;
    ping_pong<Mutex, ConditionVariable> game;
    double result = 0;
    const auto play = [&](int player) {
        stay_on_core(player);
        const auto before_answering = [] {
            if constexpr (Thinks)
                think();
        };
        Where::run([&] {
            game.play(player, warm_up, before_answering);
            const stopwatch watch{stopwatch::time::wall};
            game.play(player, count, before_answering);
            if (player == 0)
                result = watch.nanoseconds() / static_cast<double>(count) - (Thinks ? 2 * thinking_time : 0);
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
            {"cross_thread_wake", "std", round_trip<in_thread, std::mutex, std::condition_variable>},
            {"cross_thread_wake_rare", "coir", round_trip<in_loop, coir::mutex, coir::condition_variable, true>},
            {"cross_thread_wake_rare", "std", round_trip<in_thread, std::mutex, std::condition_variable, true>}};
}
