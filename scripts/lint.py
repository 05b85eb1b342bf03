#!/usr/bin/env python3
"""Checks what compilers do not: layout, layers, sizes, names, headers, assembly, static analysis.

lint.py --build DIR [CHECK...]. DIR is a configured build directory (compile_commands.json) with the library built.
Prints each violation as file:line: message, and fails if there is any.
"""
import argparse
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys

root = pathlib.Path(__file__).resolve().parent.parent
os.chdir(root)

# Each layer and the layers it may include (design.md, section 2). debug and posix are leaves: they may use all.
layers = {
    "base": set(),
    "context": {"base", "stack"},
    "stack": {"base"},
    "sched": {"base", "context", "stack"},
    "sync": {"base", "context", "stack", "sched"},
    "io": {"base", "context", "stack", "sched"},
    "net": {"base", "context", "stack", "sched", "sync", "io"},
}
leaves = {"debug", "posix"}

# A name that says nothing about what is inside.
empty_names = {"utils", "util", "common", "helpers", "helper", "misc", "impl2"}

include_line = re.compile(r'\s*#\s*include\s*([<"])([^>"]+)[>"]')


def files(*folders, suffixes):
    return sorted(path for folder in folders for path in pathlib.Path(folder).rglob("*") if path.suffix in suffixes)


def cpp_files():
    return files("include", "lib", "tests", "bench", "examples", "tools", suffixes={".cpp", ".hpp"})


def numbered(path):
    return enumerate(path.read_text().splitlines(), 1)


def run(command, **more):
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, **more)


def check_format():
    """the layout of .clang-format"""
    result = run(["clang-format", "--dry-run", "-Werror", *cpp_files()])
    for path in dict.fromkeys(re.findall(r"^(.+):\d+:\d+: error:", result.stderr, re.MULTILINE)):
        line = re.search(rf"^{re.escape(path)}:(\d+):", result.stderr, re.MULTILINE)[1]
        yield f"{path}:{line}: not in layout (clang-format -i puts it right)"
    if result.returncode != 0 and "error:" not in result.stderr:
        yield f".clang-format:1: {result.stderr.strip()}"


def layer_of_public_headers():
    """A public header belongs to the layer that has a source of its name; one without a source to nobody."""
    found = {}
    for header in files("include/coir", suffixes={".hpp"}):
        homes = {path.parent.name for path in pathlib.Path("lib").glob(f"*/{header.stem}.cpp")}
        if len(homes) == 1:
            found[header.relative_to("include").as_posix()] = homes.pop()
    return found


def check_layers():
    """includes point down the layers; only lib/io knows libev"""
    public = layer_of_public_headers()
    for path in files("lib", suffixes={".cpp", ".hpp"}) + files("include", suffixes={".hpp"}):
        if path.parts[0] == "lib":
            layer = path.parts[1]
            if layer not in layers and layer not in leaves:
                yield f"{path}:1: lib/{layer} is not a layer of design.md"
                continue
        else:
            layer = public.get(path.relative_to("include").as_posix())
            if path.name == "coir.hpp":
                continue
        for number, line in numbered(path):
            match = include_line.match(line)
            if not match:
                continue
            included = match[2]
            if included in ("ev.h", "ev++.h") and layer != "io":
                yield f"{path}:{number}: only lib/io may include <{included}>"
            if included.startswith("coir/"):
                target = public.get(included)
            elif match[1] == '"':
                target = included.split("/")[0]
                if not (pathlib.Path("lib") / included).exists():
                    yield f'{path}:{number}: "{included}" is not a file of lib/ (write it as "layer/file.hpp")'
                    continue
            else:
                continue
            if layer is None or target is None or layer in leaves or target == layer:
                continue
            if target not in layers[layer]:
                yield f"{path}:{number}: {layer} must not include {included}, which is of layer {target}"


def check_size():
    """a public header has at most 300 lines, a source 600; from 400 on there is a notice"""
    for path in cpp_files() + files("lib", "asm", suffixes={".S"}):
        lines = len(path.read_text().splitlines())
        limit = 300 if path.parts[0] == "include" else 600
        if path.parts[0] == "examples" and len(path.parts) == 2:
            limit = 80
        if lines > limit:
            yield f"{path}:1: {lines} lines, more than {limit}: it has a seam that was missed"
        elif lines > 400:
            print(f"{path}:1: notice: {lines} lines")


def check_names():
    """files and folders say what is in them; nothing is left to do"""
    # Spelled in two halves, so that this file passes its own check.
    unfinished = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b")
    tracked = [path for path in pathlib.Path(".").rglob("*")
               if path.is_file() and path.parts[0] not in ("build", ".git") and "__pycache__" not in path.parts]
    for path in sorted(tracked):
        for part in (*path.parts[:-1], path.stem):
            if part.lower() in empty_names:
                yield f"{path}:1: '{part}' does not say what is inside"
        try:
            for number, line in numbered(path):
                if match := unfinished.search(line):
                    yield f"{path}:{number}: {match[1]}: finish it, or open an issue"
        except UnicodeDecodeError:
            pass


def check_assembly():
    """assembly is explained, portable by file and not by #if, and asks for no executable stack"""
    for path in files("asm", suffixes={".S"}):
        text = path.read_text()
        comments = code = 0
        in_block = False
        for number, line in numbered(path):
            stripped = line.strip()
            if re.match(r"#\s*(if|ifdef|ifndef|else|elif)\b", stripped):
                yield f"{path}:{number}: meson chooses the file: no conditionals in assembly"
            has_comment = in_block or "/*" in line or "//" in line or bool(re.search(r"(^|\s)#\s", line))
            without = re.sub(r"/\*.*?\*/", "", line)
            is_code = not in_block and bool(re.sub(r"(/\*|//|(^|\s)#\s).*", "", without).strip())
            if in_block and "*/" in line:
                in_block = False
            elif not in_block and "/*" in without:
                in_block = True
            # A line with both explains itself.
            comments += bool(has_comment and stripped)
            code += is_code
        if comments < code:
            yield f"{path}:1: {comments} lines with a comment for {code} lines of code"
        for needed in (".note.GNU-stack", ".type", ".size", ".cfi_startproc", ".hidden"):
            if needed not in text:
                yield f"{path}:1: {needed} is missing"


def check_headers():
    """every header compiles alone; public ones include only <coir/...> and the C++ library"""
    result = run([sys.executable, "tests/package/headers.py", "--alone", "--public", "include", "--private", "lib",
                  "--compiler", "g++"])
    if result.returncode != 0:
        yield from (result.stdout + result.stderr).splitlines()


def check_symbols():
    """the library exports what lib/exported_symbols.txt says"""
    result = run([sys.executable, "tests/package/symbols.py", "--library", options.build / "lib" / "libcoir.so",
                  "--list", "lib/exported_symbols.txt"])
    if result.returncode != 0:
        for line in (result.stdout + result.stderr).splitlines():
            yield f"lib/exported_symbols.txt:1: {line}"


def check_tidy():
    """clang-tidy, with .clang-tidy, over lib/"""
    # gcc's own flags in compile_commands.json are none of clang's business.
    arguments = ["clang-tidy", "--quiet", "-p", options.build, "--extra-arg=-Wno-unknown-warning-option",
                 "--extra-arg=-Wno-ignored-optimization-argument"]
    sources = [path for path in files("lib", suffixes={".cpp"}) if is_compiled(path)]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for result in pool.map(lambda source: run([*arguments, source]), sources):
            found = False
            for line in result.stdout.splitlines():
                if match := re.match(r"(.+?:\d+):\d+: (?:warning|error): (.*)", line):
                    found = True
                    yield f"{os.path.relpath(match[1])}: {match[2]}"
            if result.returncode != 0 and not found:
                yield f".clang-tidy:1: {result.stderr.strip()}"


def is_compiled(source):
    """Not every source belongs to this build: there is one switch for each architecture."""
    return f"{source.as_posix()}\"" in compile_commands


checks = {name.removeprefix("check_"): check for name, check in globals().items() if name.startswith("check_")}

arguments = argparse.ArgumentParser()
arguments.add_argument("--build", required=True, type=pathlib.Path)
arguments.add_argument("checks", nargs="*", metavar="CHECK", help=f"of {', '.join(checks)}; default: all")
options = arguments.parse_args()
if unknown := set(options.checks) - set(checks):
    arguments.error(f"no such check: {', '.join(unknown)}; there are: {', '.join(checks)}")
compile_commands = (options.build / "compile_commands.json").read_text()

violations = 0
for name in options.checks or checks:
    messages = sorted(set(checks[name]()))
    violations += len(messages)
    print(f"{'ok  ' if not messages else 'FAIL'} {name}: {checks[name].__doc__}", *messages, sep="\n  ", flush=True)

print(f"{violations} violations" if violations else "no violations")
sys.exit(1 if violations else 0)
