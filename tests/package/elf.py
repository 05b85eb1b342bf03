#!/usr/bin/env python3
"""Checks the marks of libcoir.so that the loader and the kernel act on."""
import argparse
import subprocess
import sys

arguments = argparse.ArgumentParser()
arguments.add_argument("--library", required=True)
arguments.add_argument("--ibt", action="store_true", help="x86: landing pads for indirect branches are promised")
arguments.add_argument("--bti", metavar="ARCHIVE", help="AArch64: the same, and signed return addresses, by its objects")
options = arguments.parse_args()


def readelf(flag, file=options.library):
    return subprocess.run(["readelf", flag, "--wide", file], check=True, capture_output=True, text=True).stdout


failures = []


def expect(condition, message):
    print("ok  " if condition else "FAIL", message)
    if not condition:
        failures.append(message)


segments = readelf("--segments")
stack = [line.split() for line in segments.splitlines() if "GNU_STACK" in line]
expect(len(stack) == 1 and "E" not in stack[0][-2], "the stack is not executable")
expect("GNU_RELRO" in segments, "relocated data is read-only after start")
writable_code = [line for line in segments.splitlines() if "LOAD" in line and "RWE" in line]
expect(not writable_code, "no segment is both writable and executable")

dynamic = readelf("--dynamic")
expect("[libcoir.so.0]" in dynamic, "SONAME is libcoir.so.0")
expect("BIND_NOW" in dynamic or "NOW" in dynamic, "all symbols are bound at start")
expect("NODELETE" in dynamic, "the library is never unloaded")
expect("TEXTREL" not in dynamic, "no relocation in code")
expect("RPATH" not in dynamic, "no search path is built in")

notes = readelf("--notes")
expect("SHSTK" not in notes, "no shadow-stack mark: the switch does not implement shadow stacks")
if options.ibt:
    expect("IBT" in notes, "IBT mark: every target of an indirect branch has a landing pad")
if options.bti:
    # The linker marks the library if the compiler's startup files have the mark as well, which is not for us to say.
    objects = readelf("--notes", options.bti).split("\nFile: ")[1:]
    unmarked = [text.split()[0] for text in objects if "BTI, PAC" not in text]
    expect(objects and not unmarked, f"BTI and PAC mark: {len(objects)} objects, without it: {unmarked or 'none'}")

sys.exit(1 if failures else 0)
