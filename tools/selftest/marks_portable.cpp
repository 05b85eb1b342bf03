#include "duty.hpp"

namespace selftest {

std::span<const duty> mark_duties() {
    return {};
}

} // namespace selftest
