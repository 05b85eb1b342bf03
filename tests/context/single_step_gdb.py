#!/usr/bin/env python3
"""Steps a debugger through every instruction of coir_switch and coir_entry, and asks for a backtrace at each.

single_step_gdb.py --gdb GDB --architecture x86_64|aarch64|riscv64 [--unwinder gdb|own] PROGRAM

PROGRAM (single_step_program.cpp) runs under GDB, or in the emulator of a cross build (MESON_EXE_WRAPPER), to whose stub GDB
connects. The same file is run twice: by python3, which starts the two, and inside GDB, which does the work.

At each instruction the callers must be those of exactly one of the two stacks, each at its address and with its preserved
registers: before the one instruction that changes stacks, those that coir_switch was called with; from it on, those
that the other stack was suspended with, and nothing below the stack pointer may be needed to find them. On a fresh stack
coir_entry must be the outermost frame, known as such. Each way through the switch must have its number of instructions, and
together they must be all that there are.

--unwinder own: asked is not gdb but the C++ runtime of the program, in a signal handler that interrupts it at each instruction.
That is what a profiler does; on AArch64 it authenticates signed return addresses, which gdb does not.
"""
import argparse
import os
import pathlib
import re
import shlex
import struct
import subprocess
import sys
import tempfile
import time

try:
    import gdb
except ImportError:
    gdb = None

# What a call preserves, as gdb names it.
preserved = {
    "x86_64": ["rsp", "rbx", "rbp", "r12", "r13", "r14", "r15"],
    "aarch64": ["sp", *(f"x{n}" for n in range(19, 30)), *(f"v{n}" for n in range(8, 16))],
    "riscv64": ["sp", "fp", *(f"s{n}" for n in range(1, 12)), *(f"fs{n}" for n in range(12))],
}

# Instructions of each switch that the program makes: three with equal control words, three with different ones.
# x86-64 has two ways to load MXCSR, which take turns.
lengths = {
    "x86_64": [28, 26, 28, 30, 32, 30],
    "aarch64": [32, 32, 32, 34, 34, 34],
    "riscv64": [58, 58, 58, 60, 60, 60],
}


# --- Inside gdb ---------------------------------------------------------------------------------------------------

class Caller:
    """A frame above the switch: the function, its address, and its preserved registers."""

    def __init__(self, name, pc, registers):
        self.name = name
        self.pc = pc
        self.registers = registers

    @classmethod
    def of(cls, frame, registers):
        return cls(frame.name() or caller_name(frame.pc()), frame.pc(),
                   {name: register_text(frame.read_register(name)) for name in registers})

    def __eq__(self, other):
        return vars(self) == vars(other)

    def __repr__(self):
        return f"{self.name}@{self.pc:x}"


def caller_name(address):
    """The function that a return address is in: that of the call, which is in front of it."""
    # Before a fresh stack runs, its return address is the entry itself, and no function ends in front of that.
    return function_at(address - 1)[0] or function_at(address)[0]


def register_text(value):
    # A call preserves the low halves of AArch64's vector registers.
    is_vector = value.type.code == gdb.TYPE_CODE_UNION and any(field.name == "q" for field in value.type.fields())
    return str(value["d"]["u"][0] if is_vector else value)


def difference(seen, expected):
    """In words, or nothing."""
    if seen == expected:
        return ""
    if [(each.name, each.pc) for each in seen] != [(each.name, each.pc) for each in expected]:
        return f"{seen} instead of {expected}"
    return ", ".join(f"{name} of {one.name} is {one.registers[name]} instead of {other.registers[name]}"
                     for one, other in zip(seen, expected) for name in one.registers
                     if one.registers[name] != other.registers[name])


def function_at(address):
    """The function of an instruction, and how far into it that is."""
    symbol, known, _ = gdb.execute(f"info symbol {address}", to_string=True).partition(" in section")
    name, _, offset = symbol.partition(" + ")
    return (name, int(offset or 0)) if known else ("", 0)


def function_here():
    return function_at("$pc")


def instructions_of(function):
    """How far into it each is."""
    listing = gdb.execute(f"disassemble '{function}'", to_string=True)
    return {int(offset) for offset in re.findall(r"<\+(\d+)>:", listing)}


class Stepper:
    def __init__(self, architecture):
        self.architecture = architecture
        self.registers = preserved[architecture]
        self.suspended = {}     # stack pointer of the caller of coir_switch -> its callers
        self.instructions = {"coir_switch": set(), "coir_entry": set()}
        self.lengths = []
        self.failures = []

    def callers(self):
        """The frames above the innermost, and whether the last one is known to be the first of its stack."""
        found, frame = [], gdb.newest_frame().older()
        outermost = gdb.newest_frame()
        while frame is not None and len(found) < 100:
            if frame.type() == gdb.NORMAL_FRAME:
                # The stack pointer tells stacks apart; the registers of one frame are enough to prove the tables.
                found.append(Caller.of(frame, self.registers if not found else []))
            outermost, frame = frame, frame.older()
        return found, outermost.unwind_stop_reason() == gdb.FRAME_UNWIND_OUTERMOST

    def expect(self, condition, message):
        if not condition:
            function, offset = function_here()
            self.failures.append(f"{function}+{offset}: {message}")

    @staticmethod
    def write_below(stack_pointer):
        """The used-up frame: the tables must not find anything there any more. A signal handler may write there, except
        on x86-64, in whose red zone the frame is; but the switch has nothing there, either."""
        gdb.selected_inferior().write_memory(int(stack_pointer, 0) - 256, b"\xCC" * 256)
        gdb.execute("maintenance flush register-cache", to_string=True)  # and with it what it knows of frames

    def step_through_switch(self):
        before, _ = self.callers()
        self.suspended[before[0].registers[self.registers[0]]] = before
        after = None
        length = 0
        if self.architecture == "x86_64":
            gdb.execute(f"set var *(char*)&coir_mxcsr_is_free_to_load = {len(self.lengths) % 2}", to_string=True)
        while function_here()[0] == "coir_switch":
            length += 1
            self.instructions["coir_switch"].add(function_here()[1])
            now, ends = self.callers()
            if after is None and now != before and now:
                stack_pointer = now[0].registers[self.registers[0]]
                self.write_below(stack_pointer)
                now, ends = self.callers()
                after = now
                known = self.suspended.pop(stack_pointer, None)
                if known is None:
                    self.expect([each.name for each in now] == ["coir_entry"], f"a fresh stack has {now}")
                else:
                    self.expect(now == known, f"as it was suspended: {difference(now, known)}")
            self.expect(now == (after or before), difference(now, after or before))
            self.expect(len(now) > 0, "no caller")
            is_main = now[-1].name == "main" if now else False
            self.expect(is_main or (now and now[-1].name == "coir_entry" and ends), f"does not end well: {now}")
            gdb.execute("stepi", to_string=True)
        self.expect(after is not None, "the switch was left on the old stack")
        self.lengths.append(length)

    def step_through_entry(self):
        while function_here()[0] == "coir_entry":
            self.instructions["coir_entry"].add(function_here()[1])
            now, ends = self.callers()
            self.expect(not now and ends, f"coir_entry has callers: {now}")
            gdb.execute("stepi", to_string=True)
        self.expect(self.callers()[0][-1].name == "coir_entry", "the first function is not called by coir_entry")

    def run(self):
        while True:
            gdb.execute("tbreak *&coir_switch", to_string=True)
            gdb.execute("continue", to_string=True)
            if not gdb.selected_inferior().pid or function_here()[0] != "coir_switch":
                break
            self.step_through_switch()
            if function_here()[0] == "coir_entry":
                self.step_through_entry()
        status = gdb.parse_and_eval("$_exitcode")
        print(f"instructions of each switch: {self.lengths}, exit code {status}")
        if str(status) != "0":
            self.failures.append("the program did not end well")
        if self.lengths != lengths[self.architecture]:
            self.failures.append(f"the switches should have had {lengths[self.architecture]} instructions")
        for function, seen in self.instructions.items():
            all_of_them = instructions_of(function)
            if function == "coir_entry":
                all_of_them -= {max(all_of_them)}  # behind the call: never reached
            if seen != all_of_them:
                self.failures.append(f"stepped through {sorted(seen)} of {function}, which has {sorted(all_of_them)}")


class OwnUnwinder(Stepper):
    """Asks the unwinder of the program instead, in a signal handler that interrupts it right here."""

    def __init__(self, architecture):
        super().__init__(architecture)
        self.registers = self.registers[:1]
        gdb.execute("handle SIGUSR1 nostop noprint pass", to_string=True)

    @staticmethod
    def words(symbol, count=1):
        address = int(gdb.parse_and_eval(f"(unsigned long)&{symbol}"))
        memory = gdb.selected_inferior().read_memory(address, 8 * count)
        return struct.unpack(f"<{count}Q", memory)

    def callers(self):
        here = int(gdb.parse_and_eval("(unsigned long)$pc"))
        gdb.execute("queue-signal SIGUSR1", to_string=True)
        gdb.execute("stepi", to_string=True)  # into the handler
        gdb.execute(f"tbreak *{here}", to_string=True)
        gdb.execute("continue", to_string=True)
        self.expect(int(gdb.parse_and_eval("(unsigned long)$pc")) == here, "the handler did not come back")
        count = self.words("seen_count")[0]
        words = self.words("seen_frames", 2 * count)
        found, passed = [], False
        for pc, stack_pointer in zip(words[::2], words[1::2]):
            if passed and not (found and found[-1].name == "main"):
                found.append(Caller(caller_name(pc), pc, {self.registers[0]: hex(stack_pointer)}))
            passed = passed or pc == here
        end_of_stack = 5  # _URC_END_OF_STACK
        return found, self.words("seen_end")[0] & 0xffffffff == end_of_stack


def inside_gdb():
    kind = OwnUnwinder if os.environ["COIR_UNWINDER"] == "own" else Stepper
    stepper = kind(os.environ["COIR_ARCHITECTURE"])
    try:
        stepper.run()
    except Exception as error:  # gdb would show it and end well
        stepper.failures.append(f"{type(error).__name__}: {error}")
    for failure in list(dict.fromkeys(stepper.failures))[:20]:
        print("FAIL", failure)
    gdb.execute(f"quit {1 if stepper.failures else 0}")


# --- Outside ------------------------------------------------------------------------------------------------------

def start_emulator(launcher, options, socket):
    if options.architecture == "aarch64":
        # gdb 13 loses its way with qemu 7's SVE registers, and cannot ask which bits of a signed address are the signature.
        signing = "pauth=off" if options.unwinder == "gdb" else "pauth-impdef=on"
        launcher = [*launcher, "-cpu", f"max,sve=off,{signing}"]
    emulator = subprocess.Popen([*launcher, "-g", socket, options.program])
    while not os.path.exists(socket):
        if emulator.poll() is not None:
            sys.exit(f"{launcher[0]} ended with status {emulator.returncode}")
        time.sleep(0.01)
    return emulator


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--gdb", required=True)
    arguments.add_argument("--architecture", required=True, choices=preserved)
    arguments.add_argument("--unwinder", choices=["gdb", "own"], default="gdb")
    arguments.add_argument("program", type=pathlib.Path)
    options = arguments.parse_args()

    launcher = shlex.split(os.environ.get("MESON_EXE_WRAPPER", ""))
    emulator = None
    with tempfile.TemporaryDirectory(prefix="coir-") as folder:
        commands = ["set confirm off", "set pagination off", "set height 0"]
        if launcher:
            socket = os.path.join(folder, "gdb")
            emulator = start_emulator(launcher, options, socket)
            commands += [f"set sysroot {launcher[launcher.index('-L') + 1]}", f"target remote {socket}"]
        else:
            commands += ["set startup-with-shell off", "starti"]
        try:
            gdb_run = subprocess.run(
                [options.gdb, "--batch", "-nx", *(word for command in commands for word in ("-ex", command)),
                 "-x", __file__, options.program],
                env=os.environ | {"COIR_ARCHITECTURE": options.architecture, "COIR_UNWINDER": options.unwinder},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=100)
        finally:
            if emulator:
                emulator.kill()
                emulator.wait()
    # gdb shows each step; of those that went well the summary at the end is enough.
    print(gdb_run.stdout if gdb_run.returncode else gdb_run.stdout.splitlines()[-1])
    if "Could not trace the inferior process" in gdb_run.stdout:
        print("skipped: this machine does not allow debuggers (ptrace)")
        sys.exit(77)
    sys.exit(gdb_run.returncode)


if gdb:
    inside_gdb()
else:
    main()
