#pragma once

#include <cstdint>
#include <version>

#if defined(__cpp_lib_source_location)
#include <source_location>
#endif

namespace coir {

/// The line of source that spawned a fiber: for the report of a stack overflow, and for stack_report().
///
/// Like std::source_location, and constructible from one where it exists: clang 14 has none, and the layout of a fiber must be
/// the same for all compilers. Recording it costs two stores of constants.
///
///     void in_background(std::function<void()> work, coir::spawn_site site = coir::spawn_site::current()) {
///         coir::spawn({.name = "background", .site = site}, std::move(work)).detach();   // site: who called us
///     }
struct spawn_site {
    const char* file = "";  ///< as the compiler was told it; a string that outlives the fiber
    std::uint32_t line = 0; ///< 0: not known

    constexpr spawn_site() noexcept = default;
    constexpr spawn_site(const char* its_file, std::uint32_t its_line) noexcept : file(its_file), line(its_line) {}
#if defined(__cpp_lib_source_location)
    // NOLINTNEXTLINE(google-explicit-constructor): two names of the same thing
    constexpr spawn_site(const std::source_location& where) noexcept : file(where.file_name()), line(where.line()) {}
#endif

    /// As a default argument: the line of the call.
    [[nodiscard]] static constexpr spawn_site current(const char* its_file = __builtin_FILE(),
                                                      std::uint32_t its_line = __builtin_LINE()) noexcept {
        return {its_file, its_line};
    }
};

} // namespace coir
