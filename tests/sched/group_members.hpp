#pragma once

#include <coir/cancelled.hpp>
#include <coir/this_fiber.hpp>

#include <chrono>
#include <stdexcept>
#include <string>

/// What members of task groups do in tests.
namespace coir::test {

struct failure : std::runtime_error {
    using std::runtime_error::runtime_error;
};

inline void fail_after(std::chrono::seconds time, const char* what) {
    this_fiber::sleep_for(time);
    throw failure(what);
}

/// Sleeps, and says whether it was let.
inline void sleep_and_tell(std::chrono::seconds time, std::string& log) {
    try {
        this_fiber::sleep_for(time);
        log += "slept ";
    } catch (const cancelled&) {
        log += "cancelled ";
        throw;
    }
}

} // namespace coir::test
