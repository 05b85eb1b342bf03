"""Fibers in gdb, of a process and of a core file: see docs/debugging.md.

    info fibers [REGEXP]        all fibers, by loop: what they do, who spawned them
    fiber ID COMMAND            a command of gdb's, with the stack of this fiber: fiber 7 bt full
    fiber all COMMAND           the same with each fiber
    generate-fiber-core-file [FILE]     generate-core-file, which alone loses the stacks

Nothing is called in the process, and nothing is written: what is known comes from libcoir's debug information.

How a suspended fiber gets a backtrace. Its registers cannot be put where the thread's are: a core file has none that can be
written, and in a process it would be dangerous. Instead an unwinder is registered for the time of the command. For the
thread's innermost frame it says: "the caller of this one has the registers that the fiber was suspended with". So all outer
frames are the fiber's, found by gdb's own means, and a frame filter keeps the one that lies below them out of backtraces.
"""
import itertools
import os
import re
import struct

import gdb
import gdb.unwinder


class Architecture:
    """Where coir_switch leaves what: the picture in asm/<architecture>.S."""

    def __init__(self, pc, sp, return_address, frame_size, words, halves=(), address_bits=64):
        self.pc = pc
        self.sp = sp
        self.frame_size = frame_size                # stack pointer of the caller - handle
        self.words = {pc: return_address, **words}  # register -> offset from the handle
        self.halves = dict(halves)                  # the same for vector registers whose lower 64 bits are kept
        self.address_bits = address_bits            # of the return address; above them is its signature


architectures = {
    "i386:x86-64": Architecture(
        "rip", "rsp", 56, 64, {"rbp": 48, "rbx": 40, "r12": 32, "r13": 24, "r14": 16, "r15": 8}),
    "aarch64": Architecture(
        "pc", "sp", 8, 176, {"x29": 0, **{f"x{n}": 16 + 8 * (n - 19) for n in range(19, 29)}},
        halves={f"v{n}": 96 + 8 * (n - 8) for n in range(8, 16)}, address_bits=48),
    "riscv:rv64": Architecture(
        "pc", "sp", 200, 208,
        {"fp": 192, **{f"s{n}": 184 - 8 * (n - 1) for n in range(1, 12)}, **{f"fs{n}": 96 - 8 * n for n in range(12)}}),
}

# The words of lib/sched/describe.cpp, and how the object is written: an address, a number, a fiber, or not at all.
waits = {
    "sleep": ("sleeps", None),
    "join": ("joins", "fiber"),
    "readable": ("waits to read from descriptor", "number"),
    "writable": ("waits to write to descriptor", "number"),
    "mutex": ("waits for the mutex", "mutex"),
    "shared_mutex": ("waits for the shared mutex", "address"),
    "condition_variable": ("waits for the condition variable", "address"),
    "semaphore": ("waits for the semaphore", "address"),
    "event": ("waits for the event", "address"),
    "latch": ("waits for the latch", "address"),
    "barrier": ("waits at the barrier", "address"),
    "once": ("waits for the initialisation behind the once", "address"),
    "future": ("waits for the future", "address"),
    "send": ("sends into the channel", "address"),
    "receive": ("receives from the channel", "address"),
    "select": ("is in select()", None),
    "task_group": ("waits for the task group", "address"),
    "offload": ("waits for a function on another thread", None),
    "lookup": ("waits for the answer of a name server", None),
    "file": ("waits for an operation on a file", None),
    "program": ("waits for the output of a program", None),
}


class language:
    """What expressions and names are written in. By default it depends on the selected frame, and many a thread is in C."""

    def __init__(self, name):
        self.name = name

    def __enter__(self):
        self.before = gdb.parameter("language")
        gdb.execute(f"set language {self.name}", to_string=True)
        return self

    def __exit__(self, *_):
        gdb.execute(f"set language {self.before}", to_string=True)


# --- What is in memory --------------------------------------------------------------------------------------------

def at(type_name, address):
    """An object. Not by a pointer: for that gdb looks up the dynamic type, and warns where that is a template over a lambda."""
    return gdb.parse_and_eval(f"{{{type_name}}} {int(address):#x}")


def content(value, type_name):
    """Of a std::atomic or a std::unique_ptr, read as what they are in memory: no two standard libraries name it alike."""
    return at(type_name, value.address)


def enumerator(value):
    """coir::detail::wait_kind::join -> join"""
    return str(value).rpartition("::")[2]


def elements(each_list, type_name):
    """Of an intrusive_list<T>, first to last. A list that makes no sense, in a damaged core, ends with an error."""
    pointer = gdb.lookup_type(type_name).pointer()
    head = each_list["head_"]
    node = head["next_"]
    seen = set()
    while node and node != head.address:
        if int(node) in seen:
            raise gdb.GdbError(f"A list of {type_name} goes round in circles: memory is damaged")
        seen.add(int(node))
        yield at(type_name, node.cast(pointer))
        node = node["next_"]


def registry():
    """lib/sched/fork.cpp: all loops of the process."""
    if not gdb.selected_thread():
        raise gdb.GdbError("There is no process and no core file")
    if gdb.selected_thread().is_running():
        raise gdb.GdbError("The selected thread runs: interrupt it first")
    for symbol in gdb.lookup_static_symbols("coir::detail::(anonymous namespace)::registry"):
        value = symbol.value()
        if any(field.name == "loops" for field in value.type.fields()):
            return value
    libraries = [each.filename for each in gdb.objfiles() if each.filename and "/libcoir.so" in each.filename]
    if libraries:
        raise gdb.GdbError(f"{libraries[0]} has no debug information: build it with -g, as meson's debugoptimized does, "
                           "and do not strip it; or load its debug information")
    raise gdb.GdbError("There is no libcoir in this process, or none that has debug information")


class Loop:
    def __init__(self, value, number):
        self.value = value
        self.number = number
        self.address = int(value.address)
        self.thread = None
        self.running = int(value["running_"])

    def fibers(self):
        return [Fiber(each, self) for each in elements(self.value["fibers_"], "coir::detail::fiber_base")]


class Fiber:
    def __init__(self, value, loop=None):
        self.value = value
        self.loop = loop
        self.id = int(value["id"])
        name = content(value["name"], "char*")
        self.name = name.string(errors="replace") if name else ""
        self.is_running = loop is not None and int(value.address) == loop.running
        self.bottom = int(value["stack"])

    def __str__(self):
        return f"fiber {self.id}" + (f' "{self.name}"' if self.name else "")

    def state(self):
        if self.is_running:
            return "running"
        if not self.bottom:
            return "not started"
        record = self.value["waiting"]
        if not record:
            return "ready"
        if int(record["owner"]) != int(self.value.address):
            return "waits, for what is not in this core file"  # the record is on its stack
        text = wait_text(record)
        reason = enumerator(content(record["reason"], "coir::detail::wake_reason"))
        return text if reason == "none" else f"{text} ({reason}, about to be ready)"

    def site(self):
        line = int(self.value["site"]["line"])
        return f"{self.value['site']['file'].string(errors='replace')}:{line}" if line else ""

    def owns(self, address):
        """Whether it is an address of the fiber's stack."""
        return 0 < self.bottom <= address < self.bottom + int(self.value["stacks"]["geometry_"]["bytes"])


def wait_text(record):
    kind = enumerator(record["kind"])
    words, form = waits.get(kind, (f"waits ({kind})", "address"))
    which = record["object"]
    if form == "address":
        return f"{words} {int(which):#x}"
    if form == "mutex":
        return f"{words} {int(which):#x}{holder_text(which)}"
    if form == "number":
        return f"{words} {int(which)}"
    if form == "fiber":
        return f"{words} {Fiber(at('coir::detail::fiber_base', which))}"
    return words


def holder_text(word):
    """Of the word of a mutex that says who holds it: lib/sched/holder_word.hpp."""
    try:
        holder = int(at("unsigned long", word))
        if holder & 2:
            return " of a thread"
        return f" of {Fiber(at('coir::detail::fiber_base', holder & ~3))}" if holder & ~3 else ""
    except gdb.error:  # not in this core file, or the fiber has gone
        return ""


class Process:
    """The loops, and the threads that run them."""

    def __init__(self):
        each_registration = elements(registry()["loops"], "coir::detail::fork_registration")
        self.loops = [Loop(each["loop_"].referenced_value(), number) for number, each in enumerate(each_registration, 1)]
        self.stack_pointers = {}  # of threads
        with kept_selection():
            for thread in gdb.selected_inferior().threads():
                self.look_at(thread)

    def look_at(self, thread):
        try:
            thread.switch()
            architecture = architectures.get(gdb.newest_frame().architecture().name())
            if architecture:
                self.stack_pointers[thread.ptid] = (thread, int(gdb.newest_frame().read_register(architecture.sp)))
            # Thread-local storage needs libthread_db, which may be missing or not fit the core.
            current = int(gdb.parse_and_eval("coir::detail::loop::current_"))
        except gdb.error:  # a thread that runs, for instance
            return
        for loop in self.loops:
            if loop.address == current:
                loop.thread = thread

    def thread_on(self, fiber):
        """That executes `fiber`, in this moment; a switch may be in progress, so it need not be the loop's running one."""
        for thread, stack_pointer in self.stack_pointers.values():
            if fiber.owns(stack_pointer):
                return thread
        return fiber.loop.thread if fiber.is_running else None  # on a context's stack, or a signal handler's


# --- Looking at a suspended fiber -----------------------------------------------------------------------------------

class kept_selection:
    """The selected thread and frame are afterwards what they were, though the frames are made anew."""

    def __enter__(self):
        self.thread = gdb.selected_thread()
        self.level = gdb.selected_frame().level()

    def __exit__(self, *_):
        if not self.thread or not self.thread.is_valid():
            return  # the command has ended the process
        try:
            self.thread.switch()
            frame = gdb.newest_frame()
            while frame.level() < self.level and frame.older():
                frame = frame.older()
            frame.select()
        except gdb.error:
            pass  # it runs


class FrameId:
    def __init__(self, sp, pc):
        self.sp = sp
        self.pc = pc


class Suspended(gdb.unwinder.Unwinder):
    """While it is installed, the callers of the selected thread's innermost frame are those of the fiber."""

    name = "coir"
    priority = 1000
    enabled = True  # both as an unwinder and as a frame filter

    def __init__(self, fiber):
        super().__init__(self.name)
        innermost = gdb.newest_frame()
        architecture_name = innermost.architecture().name()
        if architecture_name not in architectures:
            raise gdb.GdbError(f"How coir suspends fibers on {architecture_name} is not known to this script")
        try:
            gdb.parse_and_eval("(char*)&coir_entry")
        except gdb.error:
            raise gdb.GdbError("Not with this libcoir: it has not coir's own switch (-Dswitch=boost), or is stripped") from None
        self.architecture = architectures[architecture_name]
        self.thread_sp = int(innermost.read_register(self.architecture.sp))
        self.thread_pc = int(innermost.pc())
        self.handle = int(fiber.value["stack_pointer"])
        memory = gdb.selected_inferior().read_memory(self.handle, self.architecture.frame_size)
        self.frame = bytes(memory)
        if not any(self.frame):
            raise gdb.GdbError("The stack of the fiber is not in this core file: see help generate-fiber-core-file")

    def word(self, offset):
        return int.from_bytes(self.frame[offset:offset + 8], "little")

    def __call__(self, pending):
        sp = pending.read_register(self.architecture.sp)
        pc = pending.read_register(self.architecture.pc)
        # Not by its level: functions that are inlined into the innermost frame have levels of their own.
        if int(sp) != self.thread_sp or int(pc) != self.thread_pc:
            return None
        # gdb takes a stack that grows in the wrong direction for a damaged one: this frame claims to be below the fiber's.
        unwound = pending.create_unwind_info(FrameId(gdb.Value(self.handle).cast(sp.type), pc))
        unwound.add_saved_register(self.architecture.sp,
                                   gdb.Value(self.handle + self.architecture.frame_size).cast(sp.type))
        for register, offset in self.architecture.words.items():
            value = self.word(offset)
            if register == self.architecture.pc:
                value &= (1 << self.architecture.address_bits) - 1
            own_type = pending.read_register(register).type
            unwound.add_saved_register(register, gdb.Value(value.to_bytes(8, "little"), own_type))
        for register, offset in self.architecture.halves.items():
            own_type = pending.read_register(register).type
            content = self.frame[offset:offset + 8].ljust(own_type.sizeof, b"\0")
            unwound.add_saved_register(register, gdb.Value(content, own_type))
        return unwound

    def is_below(self, frame):
        return int(frame.read_register(self.architecture.sp)) == self.thread_sp

    def filter(self, frames):
        return itertools.dropwhile(lambda each: self.is_below(each.inferior_frame()), frames)

    def __enter__(self):
        gdb.unwinder.register_unwinder(None, self, replace=True)
        gdb.frame_filters[self.name] = self
        gdb.events.cont.connect(self.remove)
        gdb.invalidate_cached_frames()
        try:
            frame = gdb.newest_frame()
            while frame and self.is_below(frame):
                frame = frame.older()
            if not frame:
                raise gdb.GdbError("The stack of the fiber cannot be read")
            frame.select()
        except BaseException:
            self.__exit__()
            raise
        return self

    def remove(self, _event=None):
        """Also as soon as the process runs: then the frame below the fiber's is again what it is."""
        if self in gdb.frame_unwinders:
            gdb.frame_unwinders.remove(self)
            gdb.frame_filters.pop(self.name, None)
            gdb.events.cont.disconnect(self.remove)

    def __exit__(self, *_):
        self.remove()
        gdb.invalidate_cached_frames()


def execute_with(process, fiber, command, from_tty, users_language):
    def execute():
        with language(users_language):
            gdb.execute(command, from_tty)

    with kept_selection():
        if thread := process.thread_on(fiber):
            thread.switch()
            gdb.newest_frame().select()
            execute()
        elif not fiber.bottom:
            raise gdb.GdbError(f"{fiber} has not started: it has no stack yet")
        elif fiber.is_running:
            raise gdb.GdbError(f"{fiber} runs, and which thread runs it is not known: try thread apply all bt")
        else:
            with Suspended(fiber):
                execute()


# --- Commands -----------------------------------------------------------------------------------------------------

class InfoFibers(gdb.Command):
    """Lists the fibers of all loops.
Usage: info fibers [REGEXP]

With an argument: those only whose line it matches. A star marks those that threads run at this moment."""

    def __init__(self):
        super().__init__("info fibers", gdb.COMMAND_STATUS)

    def invoke(self, argument, _from_tty):
        try:
            wanted = re.compile(argument)
        except re.error as error:
            raise gdb.GdbError(f"{argument}: {error}") from None
        with language("c++"):
            process = Process()
            if not process.loops:
                print("No loops: no thread is in coir::run().")
            for loop in process.loops:
                self.list_loop(loop, wanted)

    @staticmethod
    def list_loop(loop, wanted):
        fibers = loop.fibers()
        thread = f", thread {loop.thread.num}" if loop.thread else ""
        print(f"Loop {loop.number} at {loop.address:#x}{thread}: {len(fibers)} fiber{'s' * (len(fibers) != 1)}")
        rows = [("Id", "Name", "State", "Spawned at")]
        for fiber in sorted(fibers, key=lambda each: each.id):
            row = (str(fiber.id), fiber.name or "-", fiber.state(), fiber.site())
            if wanted.search(" ".join(row)):
                rows.append(("*" * fiber.is_running + row[0], *row[1:]))
        widths = [min(max(len(row[column]) for row in rows), 60) for column in range(3)]
        for row in rows:
            print(f"  {row[0]:>{widths[0]}}  {row[1]:{widths[1]}}  {row[2]:{widths[2]}}  {row[3]}".rstrip())


class WithFiber(gdb.Command):
    """Executes a command with the stack of a fiber.
Usage: fiber ID COMMAND
       fiber all COMMAND

For example: fiber 7 bt, fiber 7 bt full, fiber 7 frame 5, fiber all bt -5. Afterwards the selected thread and frame are
what they were."""

    def __init__(self):
        super().__init__("fiber", gdb.COMMAND_STACK, gdb.COMPLETE_NONE)

    def invoke(self, argument, from_tty):
        which, _, command = argument.strip().partition(" ")
        command = command.strip()
        if not command or not (which == "all" or which.isdecimal()):
            raise gdb.GdbError("Usage: fiber ID COMMAND, or fiber all COMMAND")
        with language("c++") as ours:
            process = Process()
            fibers = [fiber for loop in process.loops for fiber in loop.fibers()]
            if which == "all":
                return self.with_all(process, fibers, command, from_tty, ours.before)
            for fiber in fibers:
                if fiber.id == int(which):
                    return execute_with(process, fiber, command, from_tty, ours.before)
            raise gdb.GdbError(f"There is no fiber {which}, or it has ended: see info fibers")

    @staticmethod
    def with_all(process, fibers, command, from_tty, users_language):
        for fiber in sorted(fibers, key=lambda each: each.id):
            print(f"\nFiber {fiber.id}" + (f' "{fiber.name}"' if fiber.name else "") + f": {fiber.state()}")
            try:
                execute_with(process, fiber, command, from_tty, users_language)
            except (gdb.error, gdb.GdbError) as error:  # the others are of interest as well
                print(error)


class GenerateCore(gdb.Command):
    """Saves a core file of the process that has the stacks of the fibers.
Usage: generate-fiber-core-file [FILE]

gdb's own generate-core-file leaves out what follows the first guard page in a mapping, where guards are part of it (Linux
6.13), with a warning of memory that cannot be read. This command calls it, and then adds what was left out. Core files that the
kernel writes are whole."""

    chunk = 1 << 20  # what gdb reads at a time: where that fails, it gives up the rest of the mapping
    page = 4096

    def __init__(self):
        super().__init__("generate-fiber-core-file", gdb.COMMAND_FILES, gdb.COMPLETE_FILENAME)

    def invoke(self, argument, _from_tty):
        path = os.path.expanduser(argument.strip()) or f"core.{gdb.selected_inferior().pid}"
        gdb.execute(f"generate-core-file {path}", to_string=True)
        with open(path, "r+b") as core:
            for offset, address, size in self.segments(core):
                self.complete(core, offset, address, size)
        print(f"Saved corefile {path}, with all stacks")

    @staticmethod
    def segments(core):
        """The PT_LOADs of a file of 64 bits: offset, address, size."""
        header = core.read(64)
        start, = struct.unpack_from("<Q", header, 32)
        size, count = struct.unpack_from("<HH", header, 54)
        if count == 0xffff:  # too many for the field: the first section header has the number
            sections, = struct.unpack_from("<Q", header, 40)
            core.seek(sections)
            count, = struct.unpack_from("<I", core.read(64), 44)
        core.seek(start)
        table = core.read(size * count)
        for index in range(count):
            kind, _, offset, address, _, in_file = struct.unpack_from("<IIQQQQ", table, index * size)
            if kind == 1 and in_file:
                yield offset, address, in_file

    def complete(self, core, offset, address, size):
        process = gdb.selected_inferior()
        for begin in range(0, size, self.chunk):
            try:
                process.read_memory(address + begin, min(self.chunk, size - begin))
            except gdb.MemoryError:
                break  # at the first guard
        else:
            return
        for place in range(begin, size, self.page):
            try:
                content = bytes(process.read_memory(address + place, min(self.page, size - place)))
            except gdb.MemoryError:
                continue
            if content.count(0) != len(content):  # the file stays sparse
                core.seek(offset + place)
                core.write(content)


InfoFibers()
WithFiber()
GenerateCore()
