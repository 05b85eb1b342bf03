/// \file
/// coir-selftest: does the switch do, on this machine and in this build of the library, what it owes to the code that
/// runs on it?

#include "child_process.hpp"
#include "loaded_library.hpp"
#include "report.hpp"

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/utsname.h>
#include <unistd.h>

namespace selftest {
namespace {

constexpr const char* usage = R"(usage: coir-selftest [--json]

Checks, on this machine and with the libcoir.so that is loaded, what a switch of stacks owes to the code that runs on
them, and prints what holds:

  registers        those that a call preserves; alignment of the stack; vector values
  floating point   rounding mode, denormal numbers, precision of long double: each execution has its own
  exceptions       switches in catch blocks, also nested; uncaught_exceptions()
  backtraces       end at the entry of the stack, with the right number of frames
  stacks           guard page, and of which kind; overflow; signals
  fibers           registers, errno and backtraces once more, from fiber to fiber
  marks            landing pads for indirect branches, shadow stacks

and what a switch costs, in nanoseconds, taken apart duty by duty where the architecture allows (x86-64).

Each check and measurement runs in a process of its own. "-" is what this machine or build does not have.

  --json           print it as JSON
  --help           print this

Exit status: 0 if all hold, 1 if one fails, 2 if it could not look.
)";

struct group {
    const char* title;
    std::span<const duty> duties;
};

struct options {
    bool json = false;
    std::string_view spoiled; ///< the name of a duty: see duty::check
};

/// What the check says, or how it died.
finding isolated(const duty& what, bool spoiled) {
    std::string message;
    const child_end end = in_child(STDOUT_FILENO, [&] {
        finding found;
        try {
            found = what.check(spoiled);
        } catch (const std::exception& error) {
            found = {verdict::fails, error.what()};
        }
        std::printf("%d%s", static_cast<int>(found.outcome), found.detail.c_str());
    });
    if (!end.exited_well() || end.output.empty())
        return {verdict::fails, end.description()};
    return {static_cast<verdict>(end.output.front() - '0'), end.output.substr(1)};
}

std::optional<double> isolated(const timing& what) {
    const child_end end = in_child(STDOUT_FILENO, [&] { std::printf("%a", what.nanoseconds()); });
    if (!end.exited_well() || end.output.empty())
        return {};
    return std::strtod(end.output.c_str(), nullptr);
}

std::string subject() {
    utsname system{};
    ::uname(&system);
    return "coir " COIR_VERSION ", switch by " COIR_SWITCH ", " + libcoir().path + "; " + system.sysname + ' ' +
           system.release + ", " + system.machine;
}

report examine(const options& chosen) {
    const group groups[] = {
        {"registers", register_duties()},
        {"registers", vector_duties()},
        {"floating point", rounding_duties()},
        {"floating point", control_word_duties()},
        {"exceptions", exception_duties()},
        {"backtraces", unwinding_duties()},
        {"stacks", stack_duties()},
        {"fibers", fiber_duties()},
        {"marks", mark_duties()},
    };
    report all;
    all.subject = subject();
    bool has_spoiled = chosen.spoiled.empty();
    for (const auto& [title, duties] : groups)
        for (const duty& each : duties) {
            has_spoiled = has_spoiled || each.name == chosen.spoiled;
            all.results.push_back({title, &each, isolated(each, each.name == chosen.spoiled)});
        }
    if (!has_spoiled)
        throw std::invalid_argument("there is no duty " + std::string{chosen.spoiled});
    if (chosen.spoiled.empty()) {
        for (const std::span<const timing> timings : {timings_of_variants(), timings_of_library()})
            for (const timing& each : timings)
                all.measurements.push_back({&each, isolated(each)});
    }
    return all;
}

int run(std::span<char*> arguments) {
    options chosen;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        const std::string_view option = arguments[i];
        if (option == "--json") {
            chosen.json = true;
        } else if (option == "--help") {
            std::fputs(usage, stdout);
            return 0;
        } else if (option == "--spoil" && i + 1 < arguments.size()) { // for the test of this program: docs/asm.md
            chosen.spoiled = arguments[++i];
        } else {
            std::fprintf(stderr, "coir-selftest: what is %s?\n%s", arguments[i], usage);
            return 2;
        }
    }
    const report all = examine(chosen);
    (chosen.json ? print_json : print_table)(all);
    return all.all_hold() ? 0 : 1;
}

} // namespace
} // namespace selftest

int main(int argc, char** argv) try {
    return selftest::run(std::span{argv, static_cast<std::size_t>(argc)}.subspan(1));
} catch (const std::exception& error) {
    std::fprintf(stderr, "coir-selftest: %s\n", error.what());
    return 2;
}
