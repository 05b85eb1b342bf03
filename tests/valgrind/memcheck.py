#!/usr/bin/env python3
"""memcheck.py COMMAND...: runs Valgrind's COMMAND, and fails also when it only warns that it does not know a stack."""
import subprocess
import sys

result = subprocess.run(sys.argv[1:], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace")
sys.stderr.write(result.stderr)
unknown = [line for line in result.stderr.splitlines() if "client switching stacks" in line]
if unknown:
    print(f"Valgrind was not told of a stack: {len(unknown)} warnings", file=sys.stderr)
sys.exit(result.returncode or (98 if unknown else 0))
