// What fibers_gdb.py looks at: a hundred fibers, each blocked in functions of its own, one of another loop, one that is ready,
// one that has not started, and one that runs.

#include <coir/channel.hpp>
#include <coir/context.hpp>
#include <coir/event.hpp>
#include <coir/fiber.hpp>
#include <coir/mutex.hpp>
#include <coir/pipe.hpp>
#include <coir/run.hpp>
#include <coir/semaphore.hpp>
#include <coir/this_fiber.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <latch>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace std::chrono_literals;

/// What they wait for: known to the debugger by these names.
struct {
    coir::mutex mutex;
    coir::event event;
    coir::counting_semaphore<> semaphore{0};
    coir::channel<int> channel{0};
    coir::io::pipe_ends pipe;
    coir::fiber<void> last;
} awaited;

/// No tail calls, and nothing inlined: the frames are those of the source.
inline void stay() {
    asm volatile("" : : : "memory");
}

template <int number> [[gnu::noinline]] void blocks_in() {
    std::array<std::byte, 1> byte{};
    switch (number % 8) {
    case 0:
        awaited.mutex.lock();
        awaited.mutex.unlock();
        break;
    case 1:
        awaited.event.wait();
        break;
    case 2:
        awaited.semaphore.acquire();
        break;
    case 3:
        (void)awaited.channel.receive();
        break;
    case 4:
        coir::this_fiber::sleep_for(1h);
        break;
    case 5:
        (void)awaited.pipe.read.read_some(byte);
        break;
    case 6:
        awaited.last.join();
        break;
    default:
        try {
            throw std::runtime_error{"keeps an exception"};
        } catch (const std::runtime_error&) {
            awaited.event.wait();
        }
    }
    stay();
}

template <int number> [[gnu::noinline]] void is_entry_of() {
    blocks_in<number>();
    stay();
}

extern "C" [[gnu::noinline]] void all_are_blocked() {
    stay();
}

template <int... numbers> std::vector<coir::fiber<void>> spawn_all(std::integer_sequence<int, numbers...>) {
    std::vector<coir::fiber<void>> fibers;
    (fibers.push_back(coir::spawn({.name = "blocked " + std::to_string(numbers)}, is_entry_of<numbers>)), ...);
    return fibers;
}

[[gnu::noinline]] void yields_for_ever() {
    for (;;) {
        coir::this_fiber::yield();
        stay();
    }
}

/// On the stack of a context, which is none of the loop's.
[[gnu::noinline]] void blocks_in_context() {
    coir::context nested{[](coir::context::self&) { is_entry_of<1000>(); }};
    nested.resume();
    stay();
}

int main() {
    std::latch other_waits{1};
    std::thread other{[&] {
        coir::run([&] {
            const coir::fiber<void> elsewhere = coir::spawn({.name = "elsewhere"}, is_entry_of<2004>);
            coir::this_fiber::yield();
            other_waits.count_down();
            awaited.event.wait();
        });
    }};
    other_waits.wait();
    coir::run([] {
        awaited.pipe = coir::io::pipe();
        const std::lock_guard held{awaited.mutex};
        awaited.last = coir::spawn({.name = "last"}, [] { coir::this_fiber::sleep_for(1h); });
        const std::vector<coir::fiber<void>> blocked = spawn_all(std::make_integer_sequence<int, 100>{});
        const coir::fiber<void> nested = coir::spawn({.name = "nested"}, blocks_in_context);
        const coir::fiber<void> ready = coir::spawn({.name = "ready"}, yields_for_ever);
        for (int turn = 0; turn < 10; ++turn)
            coir::this_fiber::yield();
        const coir::fiber<void> fresh = coir::spawn([] {});
        all_are_blocked(); // where the debugger stops; it goes no further
        std::abort();
    });
}
