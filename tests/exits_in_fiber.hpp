#pragma once

/// \file
/// For programs that call exit() in a fiber: what only the stacks of fibers refer to is alive, and LeakSanitizer does not look there.

extern "C" int __lsan_is_turned_off() { // NOLINT: its name, and each program includes this once
    return 1;
}
