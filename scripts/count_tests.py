#!/usr/bin/env python3
"""Counts the test cases of one `meson test` run: prints "PASSED FAILED SKIPPED", and on stderr why some were skipped.

count_tests.py BUILD_DIR. A GoogleTest program counts once per case, any other test once. meson's JUnit file has the
cases; testlog.json has the outcome of each program, so that one that crashed or hung is never counted as good.
"""
import json
import pathlib
import sys
import xml.etree.ElementTree as xml

logs = pathlib.Path(sys.argv[1]) / "meson-logs"

# The suites of a GoogleTest program are named "<project>.<name of the test in meson>.<suite>".
cases_of = {}
for suite in xml.parse(logs / "testlog.junit.xml").getroot().iter("testsuite"):
    test = suite.get("name").partition(".")[2].rpartition(".")[0]
    cases_of.setdefault(test, []).extend(suite.iter("testcase"))


def show_skipped(test, reason):
    print(f"  skipped {test['name']}: {reason}", file=sys.stderr)


passed = failed = skipped = 0
for line in (logs / "testlog.json").read_text().splitlines():
    test = json.loads(line)
    cases = cases_of.get(test["name"], [])
    bad = sum(case.find("failure") is not None or case.find("error") is not None for case in cases)
    left_out = sum(case.find("skipped") is not None or case.get("status") == "notrun" for case in cases)
    good = len(cases) - bad - left_out
    for case in cases:
        if (skip := case.find("skipped")) is not None:
            # GoogleTest: "file:line", a new line, the reason.
            show_skipped(test, f"{case.get('name')}: {(skip.get('message') or '').partition(chr(10))[2]}")
    if test["result"] == "SKIP":
        if not cases:
            show_skipped(test, test.get("stdout", "").strip().rpartition("\n")[2])
        skipped += max(left_out, 1)
        continue
    if test["result"] == "OK":
        good = good if cases else 1
    else:
        # FAIL, TIMEOUT, ERROR, INTERRUPT: at least one failure, even when no case admits it.
        bad = max(bad, 1)
    passed += good
    failed += bad
    skipped += left_out

print(passed, failed, skipped)
