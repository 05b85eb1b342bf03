#pragma once

#include <gtest/gtest.h>

#include <cstdlib>

/// Whether meson runs this program in an emulator, as it does in a cross build. qemu's user mode hands most system calls to
/// the kernel, but not all: who needs one of the others skips the test.
[[nodiscard]] inline bool is_emulated() {
    return std::getenv("MESON_EXE_WRAPPER") != nullptr;
}

/// From now on a death test begins in a new process, in which nothing has happened yet. The kernel cannot execute the program
/// of another architecture; so the emulator is executed, with the program as its argument.
inline void use_fresh_processes() {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    auto command = testing::internal::GetInjectableArgvs();
    if (is_emulated() && command.front() != "/bin/sh") {
        command.insert(command.begin(), {"/bin/sh", "-c", R"(exec $MESON_EXE_WRAPPER "$0" "$@")"});
        testing::internal::SetInjectableArgvs(command);
    }
}
