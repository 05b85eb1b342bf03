// Planted bug for ThreadSanitizer: a fiber and a thread without a loop count on one counter, and nothing orders them.

#include <coir/coir.hpp>

#include <thread>

namespace {

int counter = 0;

} // namespace

int main() {
    return coir::run([] {
        std::thread plain;
        coir::spawn({.name = "counts"}, [&] {
            plain = std::thread{[] { ++counter; }};
            coir::this_fiber::yield(); // so that the sanitizer has to know who it is that comes back
            ++counter;
        }).join();
        plain.join();
        return 0;
    });
}
