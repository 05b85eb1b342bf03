"""What the checks of the built library share: its instructions, function by function."""
import re
import subprocess

header = re.compile(r"<(.+)>:$")


def functions_of(library, *flags, objdump="objdump"):
    """(name, lines of objdump) of each function, in their order."""
    code = subprocess.run([objdump, "--disassemble", "--no-show-raw-insn", *flags, library],
                          check=True, capture_output=True, text=True).stdout
    functions = [] # what stands before the first is none
    for line in code.splitlines():
        if match := header.search(line):
            functions.append((match[1], []))
        elif functions:
            functions[-1][1].append(line)
    return functions
