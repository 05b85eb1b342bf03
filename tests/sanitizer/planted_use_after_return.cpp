// Planted bug for AddressSanitizer: a fiber lets out the address of a local variable, another one reads it after the
// function has returned. Found only if the sanitizer knows which stack is which (detect_stack_use_after_return=1).

#include <coir/coir.hpp>

namespace {

const int* leaked = nullptr;

[[gnu::noinline]] void leak() {
    volatile int local = 42;
    leaked = const_cast<const int*>(&local);
}

} // namespace

int main() {
    return coir::run([] {
        coir::fiber<void> careless = coir::spawn([] {
            leak();
            coir::this_fiber::yield(); // still there, unlike the frame of leak()
        });
        coir::fiber<int> victim = coir::spawn([] {
            volatile int stolen = *leaked;
            return stolen & 0;
        });
        careless.join();
        return victim.join();
    });
}
