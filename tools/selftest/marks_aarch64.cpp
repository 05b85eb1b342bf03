#include "duty.hpp"
#include "loaded_library.hpp"

#include <cstdint>

namespace selftest {
namespace {

constexpr std::uint32_t bti = 1;

finding check_landing_pads(bool spoiled) {
    const std::uint32_t features = libcoir().features.value_or(0) & (spoiled ? ~bti : ~0U);
    if (!spoiled && features == 0)
        return absent("the library is not marked for BTI: built without -mbranch-protection");
    return holds_if((features & bti) != 0, "the library is marked for BTI", "the library is not marked for BTI");
}

constexpr duty duties[] = {
    {"landing_pads", "landing pads", check_landing_pads},
};

} // namespace

std::span<const duty> mark_duties() {
    return duties;
}

} // namespace selftest
