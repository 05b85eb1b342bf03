#!/usr/bin/env python3
"""Lists the fibers of a program with gdb, and where each is blocked: in the live process, in core files, and where that is not
possible.

fibers_gdb_test.py --gdb GDB --script coir_gdb.py --library libcoir.so PROGRAM      (blocked_fibers.cpp)
"""
import argparse
import os
import pathlib
import re
import resource
import subprocess
import sys
import tempfile

arguments = argparse.ArgumentParser()
arguments.add_argument("--gdb", required=True)
arguments.add_argument("--script", required=True)
arguments.add_argument("--library", required=True)
arguments.add_argument("program")
options = arguments.parse_args()
options.program = os.path.abspath(options.program)
failures = []

# What blocks_in<n>() waits for, by n % 8.
states = [
    r"waits for the mutex 0x[0-9a-f]+ of fiber \d+( \"[^\"]*\")?", r"waits for the event 0x[0-9a-f]+", r"waits for the semaphore 0x[0-9a-f]+",
    r"receives from the channel 0x[0-9a-f]+", r"sleeps", r"waits to read from descriptor \d+", r'joins fiber \d+ "last"',
    r"waits for the event 0x[0-9a-f]+",
]


def expect(condition, message):
    print("ok  " if condition else "FAIL", message)
    if not condition:
        failures.append(message)


def ask(*commands, files=(options.program,), environment=None):
    """What gdb prints, one text for each of `commands`."""
    words = []
    for number, command in enumerate(commands):
        words += ["-ex", f"echo \\n<{number}>\\n", "-ex", command]
    result = subprocess.run(
        [options.gdb, "-batch", "-nx", "-iex", "set debuginfod enabled off", "-iex", "set auto-load safe-path /usr",
         "-ex", "set width 0", "-ex", "set startup-with-shell off", "-ex", f"source {options.script}", *words, *files],
        env=os.environ | (environment or {}), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, errors="replace", timeout=150)
    if "Could not trace the inferior process" in result.stdout:
        print("skipped: this machine does not allow debuggers (ptrace)")
        sys.exit(77)
    if "Python scripting is not supported" in result.stdout:
        print("skipped: this gdb has no Python")
        sys.exit(77)
    texts = re.split(r"^<\d+>\n", result.stdout, flags=re.MULTILINE)[1:]
    return texts + [""] * (len(commands) - len(texts))


def functions(backtrace):
    """The names of the frames, innermost first, without arguments. (Of templates clang says the result, too.)"""
    return re.findall(r"^#\d+ +(?:0x[0-9a-f]+ in )?(?:void )?((?:[^ (]|\(anonymous namespace\))+)", backtrace, re.MULTILINE)


def line_of(listing, name):
    found = re.findall(rf"^ *(\*?\d+)  {re.escape(name)} +(.*?) *$", listing, re.MULTILINE)
    return found[0] if found else ("", "")


def check_listing(listing, where):
    wrong = [n for n in range(100)
             if not re.fullmatch(rf"{states[n % 8]} +\S*blocked_fibers\.cpp:\d+", line_of(listing, f"blocked {n}")[1])]
    expect(not wrong, f"{where}: all hundred are listed with what they wait for and who spawned them {wrong}")
    expect(len(re.findall(r"^Loop \d+ at 0x[0-9a-f]+, thread \d+: \d+ fibers$", listing, re.MULTILINE)) == 2,
           f"{where}: two loops, and their threads")
    expect(line_of(listing, "elsewhere")[1].startswith("sleeps"), f"{where}: a fiber of the other loop")
    expect(line_of(listing, "ready")[1].startswith("ready"), f"{where}: the one that is ready")
    expect(line_of(listing, "-")[1].startswith("not started"), f"{where}: the one that has not started")
    expect(re.search(r"^ *\*\d+  main +running", listing, re.MULTILINE), f"{where}: the one that runs")


def traces_of(text):
    """Of `fiber all bt`: name -> functions, text; of the first that has the name."""
    found = {}
    for part in re.split(r"^Fiber (?=\d+)", text, flags=re.MULTILINE)[1:]:
        name = re.match(r'\d+(?: "(.*?)")?:', part)
        found.setdefault(name[1] or "-", (functions(part), part))
    return found


def check_backtraces(text, where):
    traces = traces_of(text)

    def goes_down(name, number):
        frames = traces.get(name, ([], ""))[0]
        at = frames.index(f"blocks_in<{number}>") if f"blocks_in<{number}>" in frames else 0
        return at > 0 and frames[at + 1] == f"is_entry_of<{number}>" and frames[-1] == "coir_entry"

    wrong = [n for n in range(100) if not goes_down(f"blocked {n}", n)]
    expect(not wrong, f"{where}: backtraces of all hundred, from the switch to the entry {wrong}")
    expect(goes_down("elsewhere", 2004), f"{where}: backtrace in the other loop")
    expect(goes_down("nested", 1000), f"{where}: backtrace on the stack of a context")
    ready = traces.get("ready", ([], ""))[0]
    expect("yields_for_ever" in ready and ready[-1] == "coir_entry", f"{where}: backtrace of one that is ready")
    expect("has not started" in traces.get("-", ([], ""))[1], f"{where}: none of one that has not started")


def check(listing, backtraces, own, where):
    check_listing(listing, where)
    check_backtraces(backtraces, where)
    expect("all_are_blocked" in functions(own) and functions(own)[-1] == "coir_entry",
           f"{where}: the thread's own backtrace, afterwards, is what it was")
    running = re.search(r"^Fiber \d+ \"main\": running\n#0 .*\ball_are_blocked\b", backtraces, re.MULTILINE)
    expect(running, f"{where}: backtrace of the one that runs")


def check_live(core):
    listing, backtraces, own, one, frame, again, unknown, usage, saved = ask(
        "break all_are_blocked", "run", "info fibers", "fiber all bt", "bt", "info fibers blocked 42 ",
        "fiber 1034 frame function coir_entry", "frame", "fiber 999999 bt", "fiber bt",
        f"generate-fiber-core-file {core}")[2:]
    check(listing, backtraces, own, "live")
    expect(line_of(one, "blocked 42")[1] and not line_of(one, "blocked 41")[1], "a pattern chooses")
    expect(functions(frame) == ["coir_entry"] and functions(again) == ["all_are_blocked"],
           "any command can be given, and the selected frame comes back")
    expect("There is no fiber 999999" in unknown and "Usage" in usage, "what makes no sense is refused")
    expect("with all stacks" in saved, "a core is saved")


def check_core(core, where):
    check(*ask("info fibers", "fiber all bt", "bt", files=(options.program, core)), where)


def check_core_of_kernel(folder):
    subprocess.run([options.program], cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL, timeout=60,
                   preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY,) * 2))
    cores = list(pathlib.Path(folder).glob("core*"))
    if cores:
        check_kernel = ask("info fibers", "fiber all bt", "bt", files=(options.program, str(cores[0])))
        check_listing(check_kernel[0], "core of the kernel")
        check_backtraces(check_kernel[1], "core of the kernel")
    else:
        print("note: no core file from the kernel here (ulimit -H -c, /proc/sys/kernel/core_pattern)")


def check_refusals(folder):
    expect("There is no process" in ask("info fibers")[0], "without a process it says so")
    bare = os.path.join(folder, "libcoir.so.0")
    subprocess.run(["objcopy", "--strip-debug", options.library, bare], check=True)
    answer = ask(f"set environment LD_PRELOAD {bare}", "break all_are_blocked", "run", "info fibers")[3]
    expect(f"{os.path.realpath(bare)} has no debug information" in answer, "without debug information it says so")


def check_incomplete_core(core):
    """Of gdb itself: the list is there, and where the stacks are not, that is said."""
    ask("break all_are_blocked", "run", f"generate-core-file {core}")
    listing, backtraces, again = ask("info fibers", "fiber all bt", "info fibers", files=(options.program, core))
    stacks_are_there = "blocks_in<42>" in backtraces  # where guards are mappings of their own
    expect(stacks_are_there or line_of(listing, "blocked 42")[1].startswith("waits, for what is not in this core file"),
           "core of gdb: what is unknown is not made up")
    expect(stacks_are_there or "is not in this core file: see help generate-fiber-core-file" in backtraces,
           "core of gdb: says what to do")
    expect(again.strip() == listing.strip(), "core of gdb: nothing is left behind by failures")


def main():
    with tempfile.TemporaryDirectory(prefix="coir-") as folder:
        folder = os.path.realpath(folder)
        check_live(os.path.join(folder, "saved"))
        check_core(os.path.join(folder, "saved"), "saved core")
        os.remove(os.path.join(folder, "saved"))
        check_core_of_kernel(folder)
        check_incomplete_core(os.path.join(folder, "incomplete"))
        check_refusals(folder)
    sys.exit(1 if failures else 0)


main()
