#!/usr/bin/env python3
"""Checks that no function of the context layer may keep its thread's address over a switch (hazard D1), AArch64.

thread_base_aarch64.py --objdump OBJDUMP --planted LIBRARY LIBRARY

Here even to read a thread_local object the thread's base is loaded into a register, and compilers keep that over calls. In fibers
they may: a fiber stays on its thread. A context does not. So a function of this layer that loads the base, and from which the
switch can be reached, must call nothing: it goes on by a jump, and comes back to nothing. LIBRARY is the layer as a static
library, whose relocations name what is called through a pointer, too. The one with a planted bug must be found.
"""
import argparse
import re
import sys

from disassembly import functions_of

relocation = re.compile(r"\bR_AARCH64_\w+\s+([^+\s]+)")
branch = re.compile(r"\t(?:bl?|b\.\w+|cbn?z|tbn?z)\t.*<([^+>]+)(?:\+0x[0-9a-f]+)?>")
base = re.compile(r"\btpidr_el0\b|R_AARCH64_TLSDESC|__tls_get_addr")
call = re.compile(r"\tblr?\t")


class Function:
    def __init__(self):
        self.references = set()
        self.loads_base = False
        self.calls = False


def examine(library):
    functions = {}
    for name, lines in functions_of(library, "--reloc", objdump=options.objdump):
        function = functions.setdefault(name.removesuffix(".cold"), Function())
        for line, next_line in zip(lines, [*lines[1:], ""]):
            # What a branch with a relocation seems to go to is not where it goes.
            match = relocation.search(line) or (not relocation.search(next_line) and branch.search(line))
            if match:
                function.references.add(match[1])
            function.loads_base |= base.search(line) is not None
            function.calls |= call.search(line) is not None
    return functions


def reaching_switch(functions):
    reaching, before = {"coir_switch"}, set()
    while reaching != before:
        before = set(reaching)
        reaching |= {name for name, function in functions.items() if function.references & reaching}
    return reaching & functions.keys()


def offenders(functions, reaching):
    return [name for name in sorted(reaching) if functions[name].loads_base and functions[name].calls]


arguments = argparse.ArgumentParser()
arguments.add_argument("--objdump", required=True)
arguments.add_argument("--planted", required=True)
arguments.add_argument("library")
options = arguments.parse_args()

library = examine(options.library)
reaching = reaching_switch(library)
failures = [f"{name} reaches the switch, loads its thread's base, and calls" for name in offenders(library, reaching)]
planted = examine(options.planted)
found = offenders(planted, reaching_switch(planted))
if found != ["keeps_base"]:
    failures.append(f"of the planted functions keeps_base alone is one, found: {found}")
if len(reaching) < 4:
    failures.append(f"no more than these were found to reach the switch: {sorted(reaching)}")
if not any(function.loads_base for function in library.values()):
    failures.append("no function was found that loads the base")
print("\n".join(failures) if failures else
      f"{len(reaching)} functions reach the switch, none of them can keep the base of its thread")
sys.exit(1 if failures else 0)
