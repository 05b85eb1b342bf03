#include "duty.hpp"

#include <coir/fiber.hpp>
#include <coir/run.hpp>
#include <coir/this_fiber.hpp>

#include <cerrno>

namespace selftest {
namespace {

finding check_errno(bool spoiled) {
    bool kept = true;
    coir::run([&] {
        const auto keeps = [&](int mine) {
            errno = mine;
            for (int i = 0; i < 10; ++i) {
                coir::this_fiber::yield();
                if (spoiled)
                    errno = 0;
                kept = kept && errno == mine;
            }
        };
        coir::fiber<void> one = coir::spawn(keeps, EDOM);
        coir::fiber<void> other = coir::spawn(keeps, ERANGE);
        one.join();
        other.join();
    });
    return holds_if(kept, "each fiber has its own", "one fiber's is seen by another");
}

constexpr duty duties[] = {
    {"errno", "errno", check_errno},
};

} // namespace

std::span<const duty> thread_state_duties() {
    return duties;
}

} // namespace selftest
