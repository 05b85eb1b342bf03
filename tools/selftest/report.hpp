#pragma once

#include "duty.hpp"
#include "timing.hpp"

#include <string>
#include <vector>

namespace selftest {

struct result {
    const char* group;
    const duty* what;
    finding found;
};

struct report {
    std::string subject; ///< what was looked at, where
    std::vector<result> results;
    std::vector<timing> timings;

    [[nodiscard]] bool all_hold() const;
};

void print_table(const report& all);
void print_json(const report& all);

} // namespace selftest
