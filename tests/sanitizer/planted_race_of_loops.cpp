// Planted bug for ThreadSanitizer: fibers of two threads' loops count on one counter, and nothing orders them.

#include <coir/coir.hpp>

#include <thread>

namespace {

int counter = 0;

void count() {
    coir::this_fiber::yield(); // so that the sanitizer has to know who it is that comes back
    ++counter;
}

void run_right() {
    coir::run([] { coir::spawn({.name = "right"}, count).join(); });
}

} // namespace

int main() {
    return coir::run([] {
        std::thread other; // started by the one and joined at the end: whatever the timing, nothing orders the two
        coir::spawn({.name = "left"}, [&] {
            other = std::thread{run_right};
            count();
        }).join();
        other.join();
        return 0;
    });
}
