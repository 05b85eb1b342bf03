#!/usr/bin/env python3
"""Checks that no function of the library may keep a thread's address over a switch (hazard D1).

Compilers take for granted that a function returns on the thread that it was called on, and a context may be resumed by another
one. A thread_local object is read right through %fs, which is always the present thread's; only who takes its address reads
the base, at %fs:0, and could keep it. So no function that calls the switch may do that, or call __tls_get_addr(), which
returns such an address. What calls these functions may, but not into a register that calls preserve. The functions with planted
bugs must be found.
"""
import argparse
import re
import sys

from disassembly import functions_of

branch = re.compile(r"\b(?:call|j[a-z]+)\s+(?:[0-9a-f]+ )?<([^+>]+)(?:\+0x[0-9a-f]+)?>")
base = re.compile(r"%fs:0x0(?![0-9a-f(])|<__tls_get_addr")
kept = re.compile(r"%(?:rbx|rbp|r12|r13|r14|r15)$|<__tls_get_addr")


def examine(library):
    """How many functions reach the switch, and (function, line) of what may keep the base."""
    callers, readers = {"coir_switch": set()}, {}
    for function, lines in functions_of(library, "--no-addresses"):
        for line in lines:
            if match := branch.search(line):
                callers.setdefault(match[1].removesuffix("@plt"), set()).add(function)
            elif "<coir_switch>" in line: # its address, for a call through a register
                callers["coir_switch"].add(function)
            if base.search(line):
                readers.setdefault(function, []).append(line.strip())

    switching, unvisited = set(), ["coir_switch"]
    while unvisited:
        name = unvisited.pop()
        if name not in switching:
            switching.add(name)
            unvisited += callers.get(name, ())
    return len(switching), [(name, line) for name in sorted(switching & readers.keys()) for line in readers[name]
                            if name in callers["coir_switch"] or kept.search(line)]


arguments = argparse.ArgumentParser()
arguments.add_argument("--library", required=True)
arguments.add_argument("--planted", required=True)
arguments.add_argument("--harmless", action="append", default=[], help="a (mangled) function that needs the base no more when it switches")
options = arguments.parse_args()

count, offenders = examine(options.library)
failures = [f"{name} reaches the switch, and has: {line}" for name, line in offenders if name not in options.harmless]
if count < 2:
    failures.append("no function was found that reaches the switch")
found = sorted({name for name, line in examine(options.planted)[1]})
if found != ["keeps_address", "keeps_address_for_caller"]:
    failures.append(f"of the planted functions keeps_address and keeps_address_for_caller are to be found, were: {found}")
print("\n".join(failures) if failures else
      f"{count} functions reach the switch, none of them keeps an address of its thread")
sys.exit(1 if failures else 0)
