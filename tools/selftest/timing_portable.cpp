#include "timing.hpp"

namespace selftest {

std::vector<timing> timings_of_variants() {
    return {};
}

} // namespace selftest
