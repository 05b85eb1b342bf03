#!/usr/bin/env python3
"""The code in the documents is the code of the examples, which are run as tests.

tutorial_test.py PROJECT_ROOT. Every C++ block of the documents below must follow a line with a link to an example,
and stand in that file, line by line, whatever its indentation. Links must lead somewhere.
"""
import pathlib
import re
import sys
import textwrap

root = pathlib.Path(sys.argv[1])
problems = []


def lines_of(text):
    return textwrap.dedent(text).strip("\n").split("\n")


def stands_in(block, source):
    """`block` is a run of lines of `source`, possibly indented as a whole."""
    wanted = lines_of(block)
    lines = source.read_text().split("\n")
    starts = range(len(lines) - len(wanted) + 1)
    return any(lines_of("\n".join(lines[at:at + len(wanted)])) == wanted for at in starts)


blocks = 0
for document in (
    root / "docs" / "io.md",
    root / "docs" / "tutorial.md",
    root / "docs" / "structured-concurrency.md",
    root / "examples" / "README.md",
):
    text = document.read_text()
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
        if "://" not in target and not (document.parent / target).exists():
            problems.append(f"{document.name}: there is no {target}")
    for match in re.finditer(r"^```cpp\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        blocks += 1
        line = text.count("\n", 0, match.start()) + 1
        before = text[:match.start()].rstrip().rsplit("\n", 1)[-1]
        source = re.search(r"\]\(([^)]*\.[ch]pp)\)", before)
        if not source:
            problems.append(f"{document.name}:{line}: the line before does not say which example this is from")
        elif not stands_in(match[1], document.parent / source[1]):
            problems.append(f"{document.name}:{line}: not in {source[1]} like this")

print(*problems, sep="\n")
print(f"{blocks} blocks of code, {len(problems)} problems")
sys.exit(bool(problems) or blocks == 0)
