#pragma once

#include "duty.hpp"
#include "timing.hpp"

#include <optional>
#include <string>
#include <vector>

namespace selftest {

struct result {
    const char* group;
    const duty* what;
    finding found;
};

struct measurement {
    const timing* what;
    std::optional<double> nanoseconds; ///< nothing: it died of it
};

struct report {
    std::string subject; ///< what was looked at, where
    std::vector<result> results;
    std::vector<measurement> measurements;

    [[nodiscard]] bool all_hold() const;
};

void print_table(const report& all);
void print_json(const report& all);

} // namespace selftest
