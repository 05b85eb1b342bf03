// A stack overflow is explained, and then the process dies of it as it would have; every other fault is none of our business.
// All of it in child processes: the handler is installed once a process.

#include "child_process.hpp"
#include "emulation.hpp"

#include <coir/context.hpp>
#include <coir/fiber.hpp>
#include <coir/overflow_report.hpp>
#include <coir/run.hpp>
#include <coir/stack_size.hpp>
#include <coir/this_fiber.hpp>

#include <gtest/gtest.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csetjmp>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <elf.h>
#include <optional>
#include <string>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <thread>
#include <unistd.h>

namespace {

namespace this_fiber = coir::this_fiber;

volatile int levels = 1'000'000; // more than any stack has room for
volatile char sink = 0;

[[gnu::noinline]] int recurse(int level) {
    volatile char frame[400] = {};
    frame[0] = static_cast<char>(level);
    return level == 0 ? 0 : recurse(level - 1) + frame[0];
}

void overflow() {
    sink = static_cast<char>(recurse(levels));
}

// UndefinedBehaviorSanitizer would explain it before it happens.
__attribute__((no_sanitize("undefined"))) void follow_null() {
    volatile char* volatile nowhere = nullptr;
    sink = *nowhere;
}

bool never_comes_here() {
    return true;
}

TEST(overflow, is_explained_with_all_that_is_known_of_the_fiber) {
    const auto end = in_child([] {
        coir::run([] {
            const auto work = [] {
                this_fiber::yield();
                overflow();
            };
            coir::spawn({.name = "parser", .site = {"server.cpp", 57}}, work).join();
        });
        return never_comes_here();
    });
    EXPECT_TRUE(end.was_killed_by(SIGSEGV)) << end.status;
    EXPECT_TRUE(end.says("coir: fiber 2 \"parser\" overflowed its 128 KiB stack 0x")) << end.errors;
    EXPECT_TRUE(end.says("spawned at server.cpp:57;")) << end.errors;
    EXPECT_TRUE(end.says("fiber_options::stack_size")) << end.errors;
    EXPECT_TRUE(end.says("-fstack-clash-protection")) << end.errors;
}

TEST(overflow, names_the_range_of_the_stack) {
    std::array<int, 2> ends{};
    ASSERT_EQ(::pipe(ends.data()), 0);
    const auto end = in_child([&] {
        coir::run([&] {
            const std::string inside = std::to_string(reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0)));
            if (::write(ends[1], inside.c_str(), inside.size() + 1) > 0)
                overflow();
        });
        return never_comes_here();
    });
    std::array<char, 32> inside{};
    ASSERT_GT(::read(ends[0], inside.data(), inside.size()), 0);
    unsigned long bottom = 0;
    unsigned long top = 0;
    unsigned long address = 0;
    const std::size_t range = end.errors.find("stack 0x");
    ASSERT_NE(range, std::string::npos) << end.errors;
    ASSERT_EQ(std::sscanf(end.errors.c_str() + range, "stack 0x%lx-0x%lx: access to 0x%lx", &bottom, &top, &address),
              3);
    EXPECT_EQ(top - bottom, 128U * 1024);
    EXPECT_LT(bottom, std::stoul(inside.data()));
    EXPECT_LT(std::stoul(inside.data()), top);
    EXPECT_LT(address, bottom);
    EXPECT_GE(address, bottom - 4096);
    ::close(ends[0]);
    ::close(ends[1]);
}

TEST(overflow, of_a_fiber_of_another_size_and_without_a_name) {
    const auto end = in_child([] {
        coir::run([] { coir::spawn({.stack_size = std::size_t{20} << 10}, overflow).join(); });
        return never_comes_here();
    });
    EXPECT_TRUE(end.was_killed_by(SIGSEGV)) << end.status;
    EXPECT_TRUE(end.says("coir: fiber 2 overflowed its 24 KiB stack 0x")) << end.errors;
}

TEST(overflow, of_a_fiber_that_took_over_the_stack_of_an_earlier_one) {
    const auto end = in_child([] {
        coir::run([] {
            coir::spawn({.name = "earlier"}, [] {}).detach();
            coir::spawn({.name = "later"}, overflow).detach(); // a join would let it begin before the earlier one
            this_fiber::yield();
        });
        return never_comes_here();
    });
    EXPECT_TRUE(end.says("\"later\" overflowed its")) << end.errors;
}

TEST(overflow, of_a_fiber_on_a_stack_that_is_used_again) {
    const auto end = in_child([] {
        coir::run([] {
            coir::spawn({.name = "earlier"}, [] { this_fiber::yield(); }).join();
            coir::spawn({.name = "later"}, overflow).join();
        });
        return never_comes_here();
    });
    EXPECT_TRUE(end.says("\"later\" overflowed its")) << end.errors;
}

TEST(overflow, of_the_first_fiber) {
    const auto end = in_child([] {
        coir::run(overflow);
        return never_comes_here();
    });
    EXPECT_TRUE(end.was_killed_by(SIGSEGV)) << end.status;
    EXPECT_TRUE(end.says("coir: fiber 1 \"main\" overflowed its 128 KiB stack 0x")) << end.errors;
    EXPECT_TRUE(end.says("overflow_test.cpp:")) << end.errors;
}

TEST(overflow, in_a_loop_of_another_thread) {
    const auto end = in_child([] {
        std::thread{[] { coir::run([] { coir::spawn({.name = "worker"}, overflow).join(); }); }}.join();
        return never_comes_here();
    });
    EXPECT_TRUE(end.was_killed_by(SIGSEGV)) << end.status;
    EXPECT_TRUE(end.says("\"worker\" overflowed its 128 KiB stack")) << end.errors;
}

TEST(overflow, of_a_context_that_a_fiber_has_resumed) {
    const auto end = in_child([] {
        coir::run([] {
            coir::context inner{[](coir::context::self& /*self*/) { overflow(); }, {.stack_size = 1 << 20}};
            inner.resume();
        });
        return never_comes_here();
    });
    EXPECT_TRUE(end.was_killed_by(SIGSEGV)) << end.status;
    EXPECT_TRUE(end.says("coir: a context overflowed its 1032 KiB stack")) << end.errors;
    EXPECT_TRUE(end.says("context_options::stack_size")) << end.errors;
}

TEST(overflow, of_a_context_without_a_loop_is_explained_where_that_was_asked_for) {
    for (const bool wanted : {true, false}) {
        const auto end = in_child([wanted] {
            std::optional<coir::overflow_report> reports;
            if (wanted)
                reports.emplace();
            coir::context alone{[](coir::context::self& /*self*/) { overflow(); }};
            alone.resume();
            return never_comes_here();
        });
        EXPECT_TRUE(end.was_killed_by(SIGSEGV)) << end.status;
        EXPECT_EQ(end.says("coir: a context overflowed its 128 KiB stack"), wanted) << end.errors;
    }
}

TEST(overflow, is_not_explained_when_the_loop_was_told_so) {
    const auto end = in_child([] {
        coir::run(overflow, {.report_overflow = false});
        return never_comes_here();
    });
    EXPECT_TRUE(end.was_killed_by(SIGSEGV)) << end.status;
    EXPECT_EQ(end.errors, "");
}

TEST(overflow, is_told_from_other_faults) {
    const auto end = in_child([] {
        coir::run(follow_null);
        return never_comes_here();
    });
    EXPECT_TRUE(end.was_killed_by(SIGSEGV)) << end.status;
    EXPECT_EQ(end.errors, "");
}

/// Without AddressSanitizer, which would stop it in the frames of its callers.
[[gnu::noinline, gnu::no_sanitize_address]] void write_upwards(volatile char* where) {
    for (;;)
        *where++ = 1;
}

// The guard above a stack belongs to the neighbour, who is innocent.
TEST(overflow, is_told_from_a_write_beyond_the_upper_end) {
    if (is_emulated())
        GTEST_SKIP() << "qemu goes on for ever where the process would die";
    const auto end = in_child([] {
        coir::run([] {
            const auto neighbour = coir::spawn([] { this_fiber::sleep_for(std::chrono::hours{1}); });
            this_fiber::yield(); // before it runs it has neither stack nor guard
            write_upwards(static_cast<volatile char*>(__builtin_frame_address(0)));
        });
        return never_comes_here();
    });
    EXPECT_TRUE(end.was_killed_by(SIGSEGV)) << end.status;
    EXPECT_EQ(end.errors, "");
}

// --- Handlers of the program --------------------------------------------------------------------------------------

void say(const char* words) {
    [[maybe_unused]] const auto ignored = ::write(STDERR_FILENO, words, std::strlen(words));
}

void install(struct sigaction action) {
    ::sigaction(SIGSEGV, &action, nullptr);
}

struct sigaction plain_handler(void (*handler)(int), int flags) {
    struct sigaction action {};
    action.sa_handler = handler;
    action.sa_flags = flags;
    return action;
}

void say_and_exit(int signal) {
    say(signal == SIGSEGV ? "user's handler\n" : "wrong signal\n");
    ::_exit(7);
}

bool exited_with_7(const child_end& end) {
    return end.exited_with(7);
}

TEST(overflow, is_passed_on_to_a_handler_that_was_there_before) {
    for (void (*const fault)() : {overflow, follow_null}) {
        const auto end = in_child([fault] {
            install(plain_handler(say_and_exit, 0));
            coir::run(fault);
            return never_comes_here();
        });
        EXPECT_TRUE(exited_with_7(end)) << end.status;
        EXPECT_TRUE(end.says("user's handler")) << end.errors;
        EXPECT_EQ(end.says("overflowed its"), fault == overflow) << end.errors;
    }
}

TEST(overflow, is_left_to_a_handler_that_was_installed_afterwards) {
    const auto end = in_child([] {
        coir::run([] {
            install(plain_handler(say_and_exit, SA_ONSTACK));
            overflow();
        });
        return never_comes_here();
    });
    EXPECT_TRUE(exited_with_7(end)) << end.status;
    EXPECT_EQ(end.errors, "user's handler\n");
}

TEST(overflow, gives_an_earlier_handler_all_that_the_kernel_has_said) {
    const auto end = in_child([] {
        struct sigaction action {};
        action.sa_flags = SA_SIGINFO;
        action.sa_sigaction = [](int /*signal*/, siginfo_t* info, void* interrupted) {
            say(info->si_addr == nullptr && info->si_code == SEGV_MAPERR && interrupted ? "all\n" : "not all\n");
            ::_exit(7);
        };
        install(action);
        coir::run(follow_null);
        return never_comes_here();
    });
    EXPECT_EQ(end.errors, "all\n");
}

sigjmp_buf retry;

TEST(overflow, lets_an_earlier_handler_jump_away_again_and_again) {
    const auto end = in_child([] {
        install(plain_handler([](int /*signal*/) { ::siglongjmp(retry, 1); }, SA_NODEFER));
        return coir::run([] {
            volatile int faults = 0;
            if (::sigsetjmp(retry, 1) != 0)
                faults = faults + 1;
            if (faults < 100)
                follow_null();
            return faults == 100;
        });
    });
    EXPECT_TRUE(end.exited_well()) << end.status << end.errors;
}

TEST(overflow, is_explained_for_each_who_recovers_from_it) {
    const auto end = in_child([] {
        install(plain_handler([](int /*signal*/) { ::siglongjmp(retry, 1); }, SA_NODEFER));
        const auto recover = [] {
            if (::sigsetjmp(retry, 1) == 0)
                overflow();
        };
        coir::run([&] {
            // One after another on the same stack: as the first, so the next, without a switch; then a fresh use of it.
            coir::spawn({.name = "first"}, recover).detach();
            coir::spawn({.name = "second"}, recover).join();
            coir::spawn({.name = "third"}, recover).join();
            for (int i = 0; i < 3; ++i)
                coir::context{[&](coir::context::self& /*self*/) { recover(); }}.resume();
        });
        return true;
    });
    EXPECT_TRUE(end.exited_well()) << end.status;
    for (const char* const name : {"\"first\"", "\"second\"", "\"third\""})
        EXPECT_TRUE(end.says(name)) << end.errors;
    std::size_t contexts = 0;
    for (std::size_t at = 0; (at = end.errors.find("a context overflowed", at)) != std::string::npos; ++at)
        ++contexts;
    EXPECT_EQ(contexts, 3U) << end.errors;
}

TEST(overflow, calls_an_earlier_handler_that_wants_it_but_once) {
    const auto end = in_child([] {
        install(plain_handler([](int /*signal*/) { say("once\n"); }, SA_RESETHAND));
        coir::run(follow_null);
        return never_comes_here();
    });
    EXPECT_TRUE(end.was_killed_by(SIGSEGV)) << end.status;
    EXPECT_EQ(end.errors, "once\n");
}

TEST(overflow, is_explained_once_even_if_an_earlier_handler_does_nothing) {
    const auto end = in_child([] {
        static int calls = 0;
        install(plain_handler(
            [](int /*signal*/) {
                if (++calls == 3)
                    ::_exit(7);
            },
            0));
        coir::run(overflow);
        return never_comes_here();
    });
    EXPECT_TRUE(exited_with_7(end)) << end.status;
    const std::size_t first = end.errors.find("overflowed");
    EXPECT_NE(first, std::string::npos) << end.errors;
    EXPECT_EQ(end.errors.find("overflowed", first + 1), std::string::npos) << end.errors;
}

TEST(overflow, leaves_a_signal_that_was_sent_to_what_was_there_before) {
    const auto killed = in_child([] {
        coir::run([] { ::raise(SIGSEGV); });
        return never_comes_here();
    });
    EXPECT_TRUE(killed.was_killed_by(SIGSEGV)) << killed.status;
    EXPECT_EQ(killed.errors, "");

    const auto ignored = in_child([] {
        std::signal(SIGSEGV, SIG_IGN);
        coir::run([] { ::raise(SIGSEGV); });
        return true;
    });
    EXPECT_TRUE(ignored.exited_well()) << ignored.status;

    const auto not_ignored = in_child([] {
        std::signal(SIGSEGV, SIG_IGN); // which does not count for a fault
        coir::run(follow_null);
        return never_comes_here();
    });
    EXPECT_TRUE(not_ignored.was_killed_by(SIGSEGV)) << not_ignored.status;
}

// --- What is installed when ---------------------------------------------------------------------------------------

bool is_default(int signal) {
    struct sigaction action {};
    return ::sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_DFL;
}

stack_t alternate_stack() {
    stack_t present{};
    ::sigaltstack(nullptr, &present);
    return present;
}

TEST(overflow, installs_nothing_until_the_first_loop_runs) {
    const auto end = in_child([] {
        const stack_t before = alternate_stack();
        coir::context unaffected{[](coir::context::self& /*self*/) {}};
        unaffected.resume();
        if (!is_default(SIGSEGV) || alternate_stack().ss_sp != before.ss_sp)
            return false;
        coir::run([] {}, {.report_overflow = false});
        if (!is_default(SIGSEGV) || alternate_stack().ss_sp != before.ss_sp)
            return false;
        coir::run([] {});
        return !is_default(SIGSEGV) && is_default(SIGBUS);
    });
    EXPECT_TRUE(end.exited_well()) << end.status;
}

TEST(overflow, gives_the_thread_a_large_stack_for_signals_and_takes_it_back) {
    const auto end = in_child([] {
        bool good = true;
        std::thread{[&] {
            const stack_t none{nullptr, SS_DISABLE, 0};
            ::sigaltstack(&none, nullptr);
            coir::run([&] {
                const stack_t present = alternate_stack();
                good = present.ss_flags == 0 && present.ss_size >= std::size_t{64} << 10 &&
                       present.ss_size >= static_cast<std::size_t>(::sysconf(_SC_SIGSTKSZ));
            });
            good = good && alternate_stack().ss_flags == SS_DISABLE;
        }}.join();
        return good;
    });
    EXPECT_TRUE(end.exited_well()) << end.status;
}

TEST(overflow, uses_the_stack_for_signals_that_the_thread_has) {
    const auto end = in_child([] {
        static std::array<std::byte, 100'000> theirs;
        const stack_t set{theirs.data(), 0, theirs.size()};
        ::sigaltstack(&set, nullptr);
        coir::run([] {});
        if (alternate_stack().ss_sp != theirs.data())
            return false;
        install(plain_handler(
            [](int /*signal*/) {
                const auto* here = static_cast<const std::byte*>(__builtin_frame_address(0));
                ::_exit(here >= theirs.data() && here < theirs.data() + theirs.size() ? 7 : 8);
            },
            SA_ONSTACK));
        coir::run(overflow);
        return never_comes_here();
    });
    EXPECT_TRUE(exited_with_7(end)) << end.status;
}

TEST(overflow, leaves_a_stack_for_signals_that_was_set_while_it_ran) {
    const auto end = in_child([] {
        static std::array<std::byte, 100'000> theirs;
        coir::run([] {
            const stack_t set{theirs.data(), 0, theirs.size()};
            ::sigaltstack(&set, nullptr);
        });
        return alternate_stack().ss_sp == theirs.data();
    });
    EXPECT_TRUE(end.exited_well()) << end.status;
}

// --- The core -----------------------------------------------------------------------------------------------------

/// Registers of a stopped process, whatever the architecture.
std::string registers_of(pid_t process) {
    std::string registers(4096, '\0');
    iovec part{registers.data(), registers.size()};
    if (::ptrace(PTRACE_GETREGSET, process, NT_PRSTATUS, &part) != 0)
        return {};
    registers.resize(part.iov_len);
    return registers;
}

// What a core shows is the thread as it is when the signal kills it. A tracer sees the same.
TEST(overflow, kills_with_the_frame_that_faulted_on_top) {
    const pid_t child = ::fork();
    if (child == 0) {
        std::signal(SIGSEGV, SIG_DFL);
        ::close(STDERR_FILENO);
        if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0)
            ::_exit(77);
        coir::run(overflow);
        ::_exit(0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        GTEST_SKIP() << "ptrace is not allowed here";
    ASSERT_TRUE(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSEGV) << status;
    const std::string at_first = registers_of(child);
    ::ptrace(PTRACE_CONT, child, nullptr, SIGSEGV); // to the handler
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSEGV) << status;
    EXPECT_FALSE(at_first.empty());
    EXPECT_EQ(registers_of(child), at_first);
    ::ptrace(PTRACE_CONT, child, nullptr, SIGSEGV);
    ::waitpid(child, &status, 0);
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV) << status;
}

} // namespace
