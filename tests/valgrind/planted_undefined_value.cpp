// Planted bug for Valgrind: a fiber decides by a local variable that it never wrote.

#include <coir/coir.hpp>

#include <alloca.h>

int main() {
    return coir::run([] {
        int decisions = 0;
        coir::spawn([&] {
            const auto* never_written = static_cast<const volatile char*>(alloca(100));
            coir::this_fiber::yield();
            if (never_written[50] == 42)
                ++decisions;
        }).join();
        return decisions & 0;
    });
}
