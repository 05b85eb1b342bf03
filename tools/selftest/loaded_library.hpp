#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace selftest {

/// A shared library that this process has loaded. Without a path: it has not.
struct loaded_library {
    std::string path;
    std::uintptr_t begin = 0;
    std::uintptr_t end = 0;
    /// What it promises of its code (x86: IBT, SHSTK; AArch64: BTI, PAC): the bits of the property that is called
    /// GNU_PROPERTY_<machine>_FEATURE_1_AND. Nothing, if it has no such note.
    std::optional<std::uint32_t> features;

    [[nodiscard]] bool contains(std::uintptr_t address) const { return address >= begin && address < end; }
};

[[nodiscard]] const loaded_library& libcoir();

/// libcoir, or with -Dswitch=boost what it takes its switch from.
[[nodiscard]] const loaded_library& library_of_entry();

} // namespace selftest
