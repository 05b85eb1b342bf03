#!/usr/bin/env python3
"""Runs coir-selftest as it is, and once for each duty with that one spoiled: then exactly this one must fail. And once as it
is installed.

selftest_test.py PROGRAM --build DIR --installed PATH
"""
import argparse
import concurrent.futures
import json
import os
import re
import subprocess
import sys
import tempfile

arguments = argparse.ArgumentParser()
arguments.add_argument("program")
arguments.add_argument("--build", required=True)
arguments.add_argument("--installed", required=True)
options = arguments.parse_args()
failures = []


def expect(condition, message):
    print("ok  " if condition else "FAIL", message)
    if not condition:
        failures.append(message)


def run(*words, program=options.program):
    # meson tells programs of the build where its library is: an installed one must find its own.
    environment = {name: value for name, value in os.environ.items() if name != "LD_LIBRARY_PATH"}
    return subprocess.run([program, *words], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)


def examine(*words):
    result = run("--json", *words)
    return result, json.loads(result.stdout)


whole, report = examine()
print(json.dumps(report, indent=2))
duties = {duty["name"]: duty["holds"] for duty in report["duties"]}
expect(whole.returncode == 0 and report["all_hold"], "all hold")
expect(whole.stderr == "", "nothing on stderr")
expect(len(duties) == len(report["duties"]) >= 15, "each duty has a name of its own")
times = report["nanoseconds_per_switch"]
expect(times["context"] > 0 and all(value > 0 for value in times.values()), "switches take time")

held = [name for name, holds in duties.items() if holds]
with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
    examinations = list(pool.map(lambda name: examine("--spoil", name), held))
for name, (result, spoiled) in zip(held, examinations):
    found = {duty["name"]: duty["holds"] for duty in spoiled["duties"]}
    expect(result.returncode == 1 and not spoiled["all_hold"], f"exit status 1 with {name} spoiled")
    expect(found == {**duties, name: False}, f"{name} fails when it is spoiled, and nothing else")

table = run()
expect(table.returncode == 0 and "FAILS" not in table.stdout, "the table says the same")
expect(all(title in table.stdout for title in ("registers", "floating point", "exceptions", "stacks", "coir::context")),
       "the table has all parts")

dynamic = subprocess.run(["readelf", "--dynamic", "--wide", options.program], check=True, capture_output=True,
                         text=True).stdout
needed = re.findall(r"\(NEEDED\).*\[(.+?)\.so", dynamic)
expect("libcoir" in needed and set(needed) <= {"libcoir", "libstdc++", "libm", "libgcc_s", "libc"},
       "needs libcoir.so, and what any C++ program needs")

manual = run("--help")
expect(manual.returncode == 0 and "--json" in manual.stdout and "Exit status" in manual.stdout, "--help explains")
unknown = run("--nonsense")
expect(unknown.returncode == 2 and unknown.stdout == "" and "--nonsense" in unknown.stderr, "refuses other options")
misspelt = run("--spoil", "nonsense")
expect(misspelt.returncode == 2 and "nonsense" in misspelt.stderr, "refuses to spoil what it does not know")

with tempfile.TemporaryDirectory(prefix="coir-selftest-") as root:
    subprocess.run(["meson", "install", "-C", options.build, "--no-rebuild", "--quiet", "--destdir", root], check=True)
    installed = run(program=root + options.installed)
    expect(installed.returncode == 0 and os.path.realpath(root) in installed.stdout.splitlines()[0],
           "runs where it was installed, with the library from there")

sys.exit(1 if failures else 0)
