#!/usr/bin/env python3
"""Checks that the frequent ways of waiting leave for the switch by a jump, and so have no frame that returns after it.

Such a return is always mispredicted, which takes longer than the switch (docs/asm.md). Compilers make a call of it as soon as
anything is left to do afterwards, be it only that an exception could have to be stopped: and nothing but the clock notices.
"""
import argparse
import re
import sys

from disassembly import functions_of

ways = ["coir::detail::switch_execution(", "coir::detail::loop::yield(", "coir::detail::loop::park_shared(",
        "coir::detail::loop::park_until_end("]

arguments = argparse.ArgumentParser()
arguments.add_argument("--library", required=True)
options = arguments.parse_args()

branch = re.compile(r"\b(call|jmp)\s+.*<coir_switch>")

found = {}
for function, lines in functions_of(options.library, "--demangle", "--no-addresses"):
    found.setdefault(function, set()).update(match[1] for match in map(branch.search, lines) if match)

failures = []
for way in ways:
    reaching = {kind for name, kinds in found.items() if name.startswith(way) for kind in kinds}
    if reaching != {"jmp"}:
        failures.append(f"{way}…) goes on to coir_switch by {' and '.join(sorted(reaching)) or 'nothing'}, not by a jump")
# That it would be seen: whoever has exceptions keeps them in a frame, and calls.
if "call" not in {kind for name, kinds in found.items() if name.startswith("coir::detail::switch_with_exceptions(") for kind in kinds}:
    failures.append("switch_with_exceptions() was to call coir_switch")
print("\n".join(failures) if failures else f"{len(ways)} functions leave for the switch by a jump")
sys.exit(1 if failures else 0)
