#!/usr/bin/env python3
"""expect_report.py TEXT... -- COMMAND...: pass only if COMMAND fails with each TEXT in a report on stderr."""
import subprocess
import sys

separator = sys.argv.index("--")
expected, command = sys.argv[1:separator], sys.argv[separator + 1:]
try:
    result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                            errors="replace", timeout=25)
except subprocess.TimeoutExpired:
    sys.exit(f"{command[-1]}: still running after 25 s")

print(result.stdout, result.stderr, sep="")
if result.returncode == 0:
    sys.exit(f"{command[-1]}: the planted bug was not reported (exit status 0)")
for text in expected:
    if text not in result.stderr:
        sys.exit(f"{command[-1]}: exit status {result.returncode}, but no '{text}' in the report")
