#!/usr/bin/env python3
"""expect_report.py TEXT PROGRAM: pass only if PROGRAM fails with TEXT in a sanitizer's report on stderr."""
import subprocess
import sys

expected, program = sys.argv[1:]
try:
    result = subprocess.run([program], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                            errors="replace", timeout=25)
except subprocess.TimeoutExpired:
    sys.exit(f"{program}: still running after 25 s")

print(result.stdout, result.stderr, sep="")
if result.returncode == 0:
    sys.exit(f"{program}: the planted bug was not reported (exit status 0)")
if expected not in result.stderr:
    sys.exit(f"{program}: exit status {result.returncode}, but no '{expected}' in the report")
