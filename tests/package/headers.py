#!/usr/bin/env python3
"""Checks that public headers include only <coir/...> and the C++ library, and that they compile together, with the compiler and
with clang, if it is there. --alone: that every header, private ones as well, compiles alone, which takes minutes; `./run lint`.

Prints each violation as file:line: message.
"""
import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys

standard_headers = set("""
    algorithm any array atomic barrier bit bitset charconv chrono compare complex concepts condition_variable
    coroutine deque exception execution filesystem format forward_list fstream functional future initializer_list
    iomanip ios iosfwd iostream istream iterator latch limits list locale map memory memory_resource mutex new
    numbers numeric optional ostream queue random ranges ratio regex scoped_allocator semaphore set shared_mutex
    source_location span sstream stack stdexcept stop_token streambuf string string_view strstream syncstream
    system_error thread tuple type_traits typeindex typeinfo unordered_map unordered_set utility valarray variant
    vector version cassert cctype cerrno cfenv cfloat cinttypes climits clocale cmath csetjmp csignal cstdarg
    cstddef cstdint cstdio cstdlib cstring ctime cuchar cwchar cwctype
""".split())
include_line = re.compile(r'\s*#\s*include\s*[<"]([^>"]+)[>"]')


def foreign_includes(header):
    for number, line in enumerate(header.read_text().splitlines(), 1):
        match = include_line.match(line)
        if match and match[1] not in standard_headers and not match[1].startswith("coir/"):
            yield f"{header}:{number}: public header includes {match[1]}: only <coir/...> and the C++ library are allowed"


def compiles(headers, compiler, include_dirs):
    # Twice: a header without an include guard is not self-contained either.
    source = "".join(f'#include "{header.resolve()}"\n' for header in headers) * 2
    command = [*compiler.split(), "-x", "c++", "-std=c++20", "-Wall", "-Wextra", "-Wpedantic", "-Werror",
               "-fsyntax-only", *(f"-I{directory}" for directory in include_dirs), "-"]
    result = subprocess.run(command, input=source, capture_output=True, text=True)
    if result.returncode == 0:
        return []
    first = next((line for line in result.stderr.splitlines() if "error:" in line), result.stderr.strip())
    return [f"{headers[0]}:1: does not compile with {compiler}: {first}"]


arguments = argparse.ArgumentParser()
arguments.add_argument("--public", required=True, type=pathlib.Path, help="directory of public headers")
arguments.add_argument("--private", type=pathlib.Path, help="directory of private headers")
arguments.add_argument("--alone", action="store_true")
arguments.add_argument("--compiler", default=os.environ.get("CXX", "c++"))
options = arguments.parse_args()

include_dirs = [options.public]
public_headers = sorted(options.public.rglob("*.hpp"))
private_headers = sorted(options.private.rglob("*.hpp")) if options.private else []
headers = public_headers + private_headers
violations = [message for header in public_headers for message in foreign_includes(header)]
compilers = {options.compiler, *(["clang++"] if shutil.which("clang++") else [])}
if options.private:
    include_dirs.append(options.private)

with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
    jobs = [pool.submit(compiles, public_headers, compiler, [options.public]) for compiler in compilers]
    if options.alone:
        jobs += [pool.submit(compiles, [header], options.compiler, include_dirs) for header in headers]
    for job in jobs:
        violations += job.result()

print("\n".join(violations) if violations else f"{len(headers)} headers are in order")
sys.exit(1 if violations else 0)
