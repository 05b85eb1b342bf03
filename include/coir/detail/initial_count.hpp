#pragma once

#include <coir/export.hpp>

#include <cstddef>

namespace coir::detail {

/// Throws std::invalid_argument: `of` names what cannot begin with `count`.
[[noreturn]] COIR_EXPORT void throw_bad_count(const char* of, std::ptrdiff_t count);

/// `count`, from 0 to `most`.
constexpr std::ptrdiff_t initial_count(std::ptrdiff_t count, std::ptrdiff_t most, const char* of) {
    if (count < 0 || count > most) [[unlikely]]
        throw_bad_count(of, count);
    return count;
}

} // namespace coir::detail
