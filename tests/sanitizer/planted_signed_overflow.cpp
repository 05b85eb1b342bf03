// Planted bug for UndefinedBehaviorSanitizer: a fiber adds one to the largest int.

#include <coir/coir.hpp>

#include <limits>

int main() {
    return coir::run([] {
        volatile int largest = std::numeric_limits<int>::max();
        coir::this_fiber::yield();
        const int wrapped = largest + 1;
        return wrapped > 0 ? 1 : 0;
    });
}
