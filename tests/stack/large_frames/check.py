#!/usr/bin/env python3
"""check.py PROBED UNPROBED: frames larger than the guard are caught in the program with stack probes.

And only there: if the other one were caught as well, the first would prove nothing. Programs of a cross build run in its
emulator (MESON_EXE_WRAPPER), which dies of the same signal.
"""
import os
import shlex
import signal
import subprocess
import sys

probed, unprobed = sys.argv[1:]
launcher = shlex.split(os.environ.get("MESON_EXE_WRAPPER", ""))
failures = 0


def expect(condition, message):
    global failures
    print("ok  " if condition else "FAIL", message)
    failures += not condition


def run(program, how, size):
    return subprocess.run([*launcher, program, how, str(size)], capture_output=True, text=True, timeout=30)


sizes = [kibibytes * 1024 for kibibytes in (8, 12, 16, 40, 64, 100, 256, 1000, 1024)]
for how in ("alloca", "array", "constant"):
    for size in sizes if how != "constant" else (64 << 10, 1 << 20):
        result = run(probed, how, size)
        expect(result.returncode == -signal.SIGSEGV and 'fiber 102 "large" overflowed its 24 KiB stack' in result.stderr,
               f"{how} of {size} bytes, with probes: explained, and dead of SIGSEGV" +
               ("" if result.returncode == -signal.SIGSEGV else f" ({result.returncode}: {result.stderr})"))

result = run(unprobed, "alloca", 40 << 10)
expect(result.returncode == 0 and "nobody has noticed" in result.stdout,
       f"alloca of 40 KiB without probes steps over the guard ({result.returncode}: {result.stderr})")
sys.exit(1 if failures else 0)
