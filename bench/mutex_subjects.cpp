/// \file
/// mutex_uncontended: lock() and unlock() of a mutex that nobody else wants.
///
/// mutex_handoff: two fibers that yield while they hold it, so that at each unlock() the other one waits. coir hands it
/// over, Boost.Fiber wakes the other one, which then finds it locked again; both switch twice in a section.

#include "libraries.hpp"
#include "stopwatch.hpp"
#include "sync_bench.hpp"

#include <boost/fiber/mutex.hpp>
#include <coir/mutex.hpp>

#include <array>
#include <mutex>
#include <stdexcept>

namespace {

template <class Mutex> double uncontended(std::int64_t count) {
    Mutex mutex;
    return time_per_operation(count, [&mutex](std::int64_t sections) {
        for (std::int64_t i = 0; i < sections; ++i) {
            mutex.lock();
            mutex.unlock();
        }
    });
}

template <class Library, class Mutex> double handoff(std::int64_t count) {
    return time_per_operation(count, [](std::int64_t sections) {
        Mutex mutex;
        std::int64_t done = 0;
        const auto work = [&mutex, &done, sections] {
            for (std::int64_t i = 0; i < sections / 2; ++i) {
                const std::lock_guard hold{mutex};
                Library::yield();
                ++done;
            }
        };
        std::array fibers{Library::spawn(work), Library::spawn(work)};
        for (auto& fiber : fibers)
            fiber.join();
        if (done != sections / 2 * 2)
            throw std::runtime_error{"mutex_handoff: sections are missing"};
    });
}

} // namespace

std::vector<subject> mutex_subjects() {
    return {{"mutex_uncontended", "coir", uncontended<coir::mutex>},
            {"mutex_uncontended", "boost", uncontended<boost::fibers::mutex>},
            {"mutex_uncontended", "std", uncontended<std::mutex>},
            {"mutex_handoff", "coir", handoff<by_coir, coir::mutex>},
            {"mutex_handoff", "boost", handoff<by_boost, boost::fibers::mutex>}};
}
