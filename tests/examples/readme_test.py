#!/usr/bin/env python3
"""The program with which README.md begins compiles, serves, and outlives a client that resets its connection.

readme_test.py PROJECT_ROOT LIBRARY COMPILER...
"""
import pathlib
import re
import socket
import struct
import subprocess
import sys
import tempfile
import time

root, library, compiler = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]).resolve(), sys.argv[3:]
program = re.search(r"^```cpp\n(.*?)^```$", (root / "README.md").read_text(), re.MULTILINE | re.DOTALL)[1]


def unused_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def connect(port):
    deadline = time.monotonic() + 30
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=30)
        except ConnectionRefusedError: # it has not begun
            if server.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def echoed(client, text):
    client.sendall(text)
    return client.recv(len(text), socket.MSG_WAITALL)


with tempfile.TemporaryDirectory(prefix="coir-readme-") as folder:
    port = unused_port()
    source = pathlib.Path(folder) / "main.cpp"
    source.write_text(program.replace("8080", str(port)))
    subprocess.run([*compiler, "-std=c++20", "-Wall", "-Wextra", "-Werror", f"-I{root}/include", source, library,
                    f"-Wl,-rpath,{library.parent}", "-o", f"{folder}/readme"], check=True)
    server = subprocess.Popen([f"{folder}/readme"], stderr=subprocess.PIPE, text=True)
    try:
        faithful = connect(port)
        assert echoed(faithful, b"hello") == b"hello"
        rude = connect(port)
        assert echoed(rude, b"hi") == b"hi"
        rude.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        rude.close() # resets
        report = server.stderr.readline()
        assert "Connection reset by peer" in report, report
        assert echoed(faithful, b"still there") == b"still there"
        assert server.poll() is None
    finally:
        server.kill()
        server.wait()
