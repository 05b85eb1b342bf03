#!/usr/bin/env python3
"""Checks that the library's own functions cannot step over the guard below a stack.

-fstack-clash-protection allocates large frames page by page and touches each page on the way. So every source must be
compiled with it, and no instruction of the library may move the stack pointer further than a page; one that moves it by
a page must be followed by the access to it.
"""
import argparse
import json
import pathlib
import re
import sys

from disassembly import functions_of

arguments = argparse.ArgumentParser()
arguments.add_argument("--library", required=True)
arguments.add_argument("--build", required=True, type=pathlib.Path)
arguments.add_argument("--functions", required=True, type=int, help="it has so many at least: else nothing was read")
options = arguments.parse_args()
failures = []

compiled = [entry for entry in json.loads((options.build / "compile_commands.json").read_text())
            if "/lib/" in entry["file"] and entry["file"].endswith(".cpp")]
if not compiled:
    failures.append("compile_commands.json names no source of lib/")
failures += [f"{entry['file']}: compiled without -fstack-clash-protection" for entry in compiled
             if "-fstack-clash-protection" not in entry["command"]]

page = 4096
step = re.compile(r"\b(?:sub\s+\$0x([0-9a-f]+),%rsp|lea\s+-0x([0-9a-f]+)\(%rsp\),%rsp)")
touch = re.compile(r"\b(or[qlb]?|mov[qlb]?)\s+\$0x0,.*\(%rsp\)")
probes, functions = 0, 0
for function, lines in functions_of(options.library, "--no-addresses"):
    functions += 1
    for line, next_line in zip(lines, [*lines[1:], ""]):
        if match := step.search(line):
            bytes_moved = int(match[1] or match[2], 16)
            if bytes_moved >= 1 << 63: # taken away with a negative number: the frame shrinks
                continue
            if bytes_moved > page:
                failures.append(f"{function}: {line.strip()}: {bytes_moved} bytes in one step")
            elif bytes_moved == page:
                probes += 1
                if not touch.search(next_line):
                    failures.append(f"{function}: {line.strip()}: a page that the next instruction does not touch")
if functions < options.functions:
    failures.append(f"only {functions} functions found in the library")

print("\n".join(failures) if failures else f"{functions} functions, {probes} of them with frames of more than a page")
sys.exit(1 if failures else 0)
