// Planted bug for AddressSanitizer: a fiber lets out the address of its own local memory, and is gone when another reads
// there. The memory is still mapped, for the next fiber. alloca: what the sanitizer does not move off the stack.

#include <coir/coir.hpp>

#include <alloca.h>

int main() {
    return coir::run([] {
        const volatile char* leaked = nullptr;
        coir::spawn([&] {
            auto* local = static_cast<volatile char*>(alloca(100));
            *local = 42;
            leaked = local;
            coir::this_fiber::yield();
        }).join();
        return *leaked & 0;
    });
}
