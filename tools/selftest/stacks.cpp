#include "child_process.hpp"
#include "duty.hpp"

#include <coir/context.hpp>
#include <coir/overflow_report.hpp>
#include <coir/stack_size.hpp>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace selftest {
namespace {

std::uintptr_t page_size() {
    return static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
}

/// The kernel refuses to write there with an error, where our own write would be a signal. By number: the C library's
/// function does without the kernel.
bool is_writable(std::uintptr_t address) {
    return ::syscall(SYS_clock_gettime, CLOCK_MONOTONIC, address) == 0;
}

/// The highest page below the caller's frame that cannot be written; 0 if there is none within `distance`.
std::uintptr_t guard_below(std::uintptr_t frame, std::uintptr_t distance) {
    const std::uintptr_t page = page_size();
    for (std::uintptr_t here = frame / page * page; here > frame - distance; here -= page)
        if (!is_writable(here))
            return here;
    return 0;
}

/// The access rights of the mapping that `address` is in, as /proc/self/maps gives them; empty if it is in none.
std::string rights_of(std::uintptr_t address) {
    std::ifstream maps{"/proc/self/maps"};
    for (std::string line; std::getline(maps, line);) {
        std::istringstream fields{line};
        std::uintptr_t begin = 0;
        std::uintptr_t end = 0;
        char dash = 0;
        std::string rights;
        fields >> std::hex >> begin >> dash >> end >> rights;
        if (address >= begin && address < end)
            return rights;
    }
    return {};
}

void remove_guard(std::uintptr_t page) {
    constexpr int madv_guard_remove = 103;
    auto* const memory = reinterpret_cast<void*>(page);
    ::madvise(memory, page_size(), madv_guard_remove);
    ::mprotect(memory, page_size(), PROT_READ | PROT_WRITE);
}

finding check_guard(bool spoiled) {
    constexpr std::uintptr_t size = coir::default_stack_size;
    finding result;
    std::vector<coir::context> contexts; // alive at the same time: neighbours
    for (int i = 0; i < 16; ++i) {
        contexts.emplace_back([&](coir::context::self& self) {
            const auto frame = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
            // The guard of the next stack is nearly twice as far away. A stack may be a little larger than was asked for.
            const std::uintptr_t distance = size + 4 * page_size();
            std::uintptr_t guard = guard_below(frame, distance);
            if (spoiled && guard != 0) {
                remove_guard(guard);
                guard = guard_below(frame, distance);
            }
            if (guard == 0)
                result = {verdict::fails, "there is none"};
            else if (rights_of(guard).starts_with("rw"))
                result = {verdict::holds, "one for each stack, by MADV_GUARD_INSTALL"};
            else
                result = {verdict::holds, "one for each stack, by mprotect: for about 32,000 stacks"};
            self.suspend();
        });
        contexts.back().resume();
        if (result.outcome != verdict::holds)
            break;
    }
    return result;
}

/// Half a kilobyte a level, and more levels than any stack has room for.
int recurse(int levels = 1'000'000'000) { // NOLINT(misc-no-recursion)
    std::array<volatile char, 512> frame{};
    frame[0] = static_cast<char>(levels);
    return levels == 0 ? 0 : recurse(levels - 1) + frame[0];
}

finding check_overflow(bool spoiled) {
    const child_end end = in_child(STDERR_FILENO, [&] {
        coir::context inside{[&](coir::context::self& /*self*/) {
            if (!spoiled)
                recurse();
        }};
        inside.resume();
    });
    const bool stopped = WIFSIGNALED(end.status) && (WTERMSIG(end.status) == SIGSEGV || WTERMSIG(end.status) == SIGBUS);
    return holds_if(stopped, "ends the process by a signal", end.description());
}

finding check_overflow_report(bool spoiled) {
    const child_end end = in_child(STDERR_FILENO, [&] {
        const auto reports = spoiled ? nullptr : std::make_unique<coir::overflow_report>();
        coir::context inside{[](coir::context::self& /*self*/) { recurse(); }};
        inside.resume();
    });
    const bool died_of_it = WIFSIGNALED(end.status) && WTERMSIG(end.status) == SIGSEGV;
    const bool said_so = end.output.find("overflowed its") != std::string::npos;
    return holds_if(died_of_it && said_so, "says whose stack it was, and dies of the original signal",
                    said_so ? end.description() : "the process said nothing");
}

std::uintptr_t handler_frame;

void on_signal(int /*signal*/) {
    std::array<volatile char, 256> frame{};
    handler_frame = reinterpret_cast<std::uintptr_t>(frame.data());
}

finding check_signal(bool spoiled) {
    std::vector<char> other_stack(64 * 1024);
    stack_t alternate{};
    alternate.ss_sp = other_stack.data();
    alternate.ss_size = other_stack.size();
    ::sigaltstack(&alternate, nullptr);
    struct sigaction action {};
    action.sa_handler = on_signal;
    action.sa_flags = spoiled ? SA_ONSTACK : 0;
    ::sigaction(SIGUSR1, &action, nullptr);

    bool right = true;
    coir::context inside{[&](coir::context::self& self) {
        for (int i = 0; i < 3; ++i) {
            const auto frame = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
            ::raise(SIGUSR1);
            right = right && handler_frame < frame && frame - handler_frame < coir::default_stack_size;
            self.suspend();
        }
    }};
    while (inside.resume())
        ::raise(SIGUSR1);
    return holds_if(right, "the handler runs there and comes back", "the handler did not run there");
}

constexpr duty duties[] = {
    {"guard", "guard page", check_guard},
    {"overflow", "overflow", check_overflow},
    {"overflow-report", "overflow report", check_overflow_report},
    {"signal", "signal on a context's stack", check_signal},
};

} // namespace

std::span<const duty> stack_duties() {
    return duties;
}

} // namespace selftest
