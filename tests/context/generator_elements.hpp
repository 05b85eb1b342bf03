#pragma once

#include <coir/generator.hpp>

#include <stdexcept>
#include <string>
#include <vector>

/// All elements that are left.
inline std::vector<int> all_of(coir::generator<int> elements) {
    std::vector<int> result;
    for (int each : elements)
        result.push_back(each);
    return result;
}

/// Of the std::logic_error that `function` throws.
std::string message_of(const auto& function) {
    try {
        function();
    } catch (const std::logic_error& error) {
        return error.what();
    }
    return "no std::logic_error";
}
