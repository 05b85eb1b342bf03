// A signal arrives when the stack of a fiber or context has no room for the frame of its handler. The kernel drops such a signal,
// and says SIGSEGV instead: of no address, and of no instruction that would fault again (hazard C5).

#include "child_process.hpp"
#include "stack/slab_table.hpp"

#include <coir/context.hpp>
#include <coir/fiber.hpp>
#include <coir/overflow_report.hpp>
#include <coir/run.hpp>

#include <gtest/gtest.h>

#include <alloca.h>
#include <array>
#include <csetjmp>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <sys/syscall.h>
#include <unistd.h>

#if !defined(COIR_ASAN) // whose functions need more room than there is at the end of a stack

namespace {

volatile sig_atomic_t handled = 0;

void install(int signal, void (*handler)(int), int flags) {
    struct sigaction action {};
    action.sa_handler = handler;
    action.sa_flags = flags;
    ::sigaction(signal, &action, nullptr);
}

void count(int /*signal*/) {
    handled = handled + 1;
}

void send(int signal) {
    ::syscall(SYS_tgkill, ::getpid(), ::syscall(SYS_gettid), signal);
}

void send_one() {
    send(SIGUSR1);
}

std::byte* bottom_of_this_stack() {
    auto* const here = static_cast<std::byte*>(__builtin_frame_address(0));
    coir::detail::slab_extent slab{};
    if (!coir::detail::find_slab(here, slab))
        std::abort();
    const std::size_t pitch = slab.geometry.pitch();
    const auto offset = static_cast<std::size_t>(here - slab.begin);
    return slab.begin + offset / pitch * pitch + slab.geometry.guard_bytes;
}

/// Calls `act` when the stack has some hundred bytes left: enough for a system call, and less than the frame of a signal takes.
[[gnu::noinline]] void at_the_end_of_the_stack(void (*act)()) {
    send(0); // the dynamic linker needs more, when it is the first time
    auto* const here = static_cast<std::byte*>(__builtin_frame_address(0));
    void* const frame = alloca(static_cast<std::size_t>(here - bottom_of_this_stack()) - 900);
    asm volatile("" : : "r"(frame) : "memory");
    act();
    asm volatile("" : : "r"(frame) : "memory");
}

void run_to_the_end_of_a_stack(void (*act)()) {
    coir::run([act] {
        coir::spawn({.name = "deep", .site = {"server.cpp", 57}}, [act] { at_the_end_of_the_stack(act); }).join();
    });
}

TEST(signal_frame, that_has_no_room_is_an_overflow) {
    const auto end = in_child([] {
        install(SIGUSR1, count, 0);
        run_to_the_end_of_a_stack(send_one);
        return true; // as if nothing had happened
    });
    EXPECT_TRUE(end.was_killed_by(SIGSEGV)) << end.status;
    EXPECT_TRUE(end.says("coir: fiber 2 \"deep\" overflowed its 128 KiB stack 0x")) << end.errors;
    EXPECT_TRUE(end.says(": no room for the frame of a signal handler\n")) << end.errors;
    EXPECT_TRUE(end.says("spawned at server.cpp:57;")) << end.errors;
    EXPECT_TRUE(end.says("SA_ONSTACK")) << end.errors;
}

TEST(signal_frame, that_has_no_room_in_a_context) {
    const auto end = in_child([] {
        install(SIGUSR1, count, 0);
        const coir::overflow_report reports;
        coir::context deep{[](coir::context::self& /*self*/) { at_the_end_of_the_stack(send_one); }};
        deep.resume();
        return true;
    });
    EXPECT_TRUE(end.was_killed_by(SIGSEGV)) << end.status;
    EXPECT_TRUE(end.says("coir: a context overflowed its 128 KiB stack 0x")) << end.errors;
}

TEST(signal_frame, ends_the_process_also_where_nobody_asked_for_a_report) {
    const auto end = in_child([] {
        static std::array<std::byte, 100'000> for_signals;
        const stack_t set{for_signals.data(), 0, for_signals.size()};
        ::sigaltstack(&set, nullptr);
        coir::run([] {}); // which installs the handler
        install(SIGUSR1, count, 0);
        coir::context deep{[](coir::context::self& /*self*/) { at_the_end_of_the_stack(send_one); }};
        deep.resume();
        return true;
    });
    EXPECT_TRUE(end.was_killed_by(SIGSEGV)) << end.status;
    EXPECT_EQ(end.errors, "");
}

TEST(signal_frame, needs_no_room_on_another_stack) {
    const auto end = in_child([] {
        install(SIGUSR1, count, SA_ONSTACK);
        run_to_the_end_of_a_stack(send_one);
        return handled == 1;
    });
    EXPECT_TRUE(end.exited_well()) << end.status << end.errors;
}

TEST(signal_frame, that_has_no_room_is_passed_on_to_an_earlier_handler) {
    const auto end = in_child([] {
        static sigjmp_buf back;
        install(
            SIGSEGV, [](int /*signal*/) { ::siglongjmp(back, 1); }, 0);
        install(SIGUSR1, count, 0);
        return coir::run([] {
            volatile int recovered = 0;
            for (int i = 0; i < 3; ++i)
                coir::spawn([&] {
                    if (::sigsetjmp(back, 1) == 0)
                        at_the_end_of_the_stack(send_one);
                    else
                        recovered = recovered + 1;
                }).join();
            return recovered == 3 && handled == 0;
        });
    });
    EXPECT_TRUE(end.exited_well()) << end.status;
    for (const char* const each : {"fiber 2 overflowed", "fiber 3 overflowed", "fiber 4 overflowed"})
        EXPECT_TRUE(end.says(each)) << end.errors;
}

// An address that is none: on x86-64 the kernel says the same of it, but the instruction is to blame.
void follow_a_wild_pointer() {
    auto* volatile const nowhere = reinterpret_cast<volatile char*>(std::size_t{1} << 63);
    *nowhere = 1;
}

TEST(signal_frame, is_told_from_a_wild_pointer) {
    const auto end = in_child([] {
        run_to_the_end_of_a_stack(follow_a_wild_pointer);
        return true;
    });
    EXPECT_TRUE(end.was_killed_by(SIGSEGV)) << end.status;
    EXPECT_EQ(end.errors, "");
}

} // namespace

#endif
