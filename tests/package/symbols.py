#!/usr/bin/env python3
"""Compares what libcoir.so exports with the checked-in list, or writes the list anew (--write).

The list holds demangled names, sorted: a change of the interface is then a change that a reviewer sees.
"""
import argparse
import pathlib
import subprocess
import sys

arguments = argparse.ArgumentParser()
arguments.add_argument("--library", required=True)
arguments.add_argument("--list", required=True, type=pathlib.Path)
arguments.add_argument("--write", action="store_true")
options = arguments.parse_args()

table = subprocess.run(["nm", "--dynamic", "--defined-only", "--demangle", options.library],
                       check=True, capture_output=True, text=True).stdout
# "address type name": the name may contain spaces. Two mangled names may share a demangled one (C1, C2 constructors).
exported = sorted({line.split(maxsplit=2)[2] for line in table.splitlines()})

if options.write:
    options.list.write_text("".join(name + "\n" for name in exported))
    print(f"{options.list}: {len(exported)} symbols")
    sys.exit(0)

expected = options.list.read_text().splitlines()
for name in sorted(set(expected) - set(exported)):
    print(f"no longer exported: {name}")
for name in sorted(set(exported) - set(expected)):
    print(f"exported, but not in {options.list.name}: {name}")
if exported != sorted(expected):
    sys.exit("if this is meant: ./run symbols")
