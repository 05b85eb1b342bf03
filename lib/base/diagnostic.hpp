#pragma once

#include <new>
#include <string_view>

namespace coir::detail {

/// One line on stderr, "coir: " in front, for what has no caller to throw to. Does not allocate.
void report(std::string_view message) noexcept;

/// The same with a text that `compose()` puts together; when there is no memory for that, with `plain`.
template <class Compose> void report(Compose compose, std::string_view plain) noexcept {
    try {
        report(compose());
    } catch (const std::bad_alloc&) {
        report(plain);
    }
}

} // namespace coir::detail
