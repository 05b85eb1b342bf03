#include "duty.hpp"

#include <coir/context.hpp>

#include <cfenv>

namespace selftest {
namespace {

finding check_rounding(bool spoiled) {
    bool inside_kept = true;
    coir::context inside{[&](coir::context::self& self) {
        std::fesetround(FE_UPWARD);
        for (int i = 0; i < 3; ++i) {
            self.suspend();
            if (spoiled)
                std::fesetround(FE_TONEAREST);
            inside_kept = inside_kept && std::fegetround() == FE_UPWARD;
        }
    }};
    bool outside_kept = true;
    while (inside.resume())
        outside_kept = outside_kept && std::fegetround() == FE_TONEAREST;
    return holds_if(inside_kept && outside_kept, "each has its own",
                    inside_kept ? "it leaks out of a context" : "it leaks into a context");
}

finding check_inheritance(bool spoiled) {
    int seen = -1;
    std::fesetround(FE_TOWARDZERO);
    coir::context inside{[&](coir::context::self& /*self*/) { seen = std::fegetround(); }};
    std::fesetround(FE_TONEAREST);
    if (spoiled)
        inside = coir::context{[&](coir::context::self& /*self*/) { seen = std::fegetround(); }};
    inside.resume();
    return holds_if(seen == FE_TOWARDZERO, "from who creates it", "not that of who creates it");
}

constexpr duty duties[] = {
    {"rounding", "rounding mode", check_rounding},
    {"rounding_inherited", "rounding mode, at the start", check_inheritance},
};

} // namespace

std::span<const duty> rounding_duties() {
    return duties;
}

} // namespace selftest
