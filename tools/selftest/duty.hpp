#pragma once

#include <span>
#include <string>
#include <utility>

/// \file
/// What coir-selftest is made of. A duty is something that a switch, or a stack, owes to the code that runs on it: it
/// holds, or not, on this machine and with this build of the library.
///
/// The lists below are in files of their own; what depends on the architecture is in one of several, which meson
/// chooses: <name>_<architecture>.cpp, or <name>_portable.cpp.
namespace selftest {

enum class verdict {
    holds,
    fails,
    absent, ///< this machine, or this build, has no such thing
};

/// What a check has found, and a few words of what it saw.
struct finding {
    verdict outcome = verdict::fails;
    std::string detail;
};

[[nodiscard]] inline finding absent(std::string why) {
    return {verdict::absent, std::move(why)};
}

/// `detail` if it holds, `complaint` if not.
[[nodiscard]] inline finding holds_if(bool condition, std::string detail, std::string complaint) {
    return condition ? finding{verdict::holds, std::move(detail)} : finding{verdict::fails, std::move(complaint)};
}

struct duty {
    const char* name;
    const char* title;

    /// Runs in a process of its own: it may crash, hang, and change what belongs to the process. With `spoiled` it does
    /// itself what the duty forbids, and must then find that the duty does not hold: a check that cannot fail shows
    /// nothing.
    finding (*check)(bool spoiled);
};

[[nodiscard]] std::span<const duty> register_duties();
[[nodiscard]] std::span<const duty> vector_duties(); // by architecture
[[nodiscard]] std::span<const duty> rounding_duties();
[[nodiscard]] std::span<const duty> control_word_duties(); // by architecture
[[nodiscard]] std::span<const duty> exception_duties();
[[nodiscard]] std::span<const duty> unwinding_duties();
[[nodiscard]] std::span<const duty> stack_duties();
[[nodiscard]] std::span<const duty> fiber_duties(); // none with -Dloop=false
[[nodiscard]] std::span<const duty> mark_duties();  // by architecture

} // namespace selftest
