// Planted bug for LeakSanitizer: a fiber ends and leaves memory behind.

#include <coir/coir.hpp>

#include <memory>

int main() {
    return coir::run([] {
        coir::spawn([] {
            auto owner = std::make_unique<int>(42);
            coir::this_fiber::yield();
            owner.release(); // NOLINT(bugprone-unused-return-value): the bug
        }).join();
        return 0;
    });
}
