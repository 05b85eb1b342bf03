"""The HTTP server under test: a process of its own, and a client that says exactly which bytes it sends.

Every test program here is called as  NAME_test.py PATH-OF-http_server [unittest's arguments].
"""
import os
import pathlib
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

binary = None  # set by main()


def is_emulated():
    """In a cross build meson names the emulator."""
    return "MESON_EXE_WRAPPER" in os.environ


def command():
    """How to start it."""
    return [*shlex.split(os.environ.get("MESON_EXE_WRAPPER", "")), binary]


def is_sanitized():
    """AddressSanitizer keeps freed memory for a while and uses several times as much: sizes mean nothing then."""
    return b"__asan_init" in pathlib.Path(binary).read_bytes()


class Server:
    """Serves `root` on a free port of 127.0.0.1. Leaving the context stops it; it must then exit with status 0."""

    def __init__(self, root, *options, wrapper=()):
        self.process = subprocess.Popen([*wrapper, *command(), "--root", str(root), "--port", "0", *map(str, options)],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if not line.startswith(("listening on http://", "listening on https://")):
            raise RuntimeError(f"the server did not start: {line}{self.process.communicate()[1]}")
        self.end = None
        self.port = int(line.rstrip("/\n").rpartition(":")[2])

    def stop(self, how=signal.SIGTERM, timeout=20):
        """Its exit status and what it wrote to stderr."""
        if self.end is None:
            self.process.send_signal(how)
            errors = self.process.communicate(timeout=timeout)[1]
            self.end = self.process.returncode, errors
        return self.end

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        try:
            status, errors = self.stop()
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            raise
        if kind is None and status != 0:
            raise RuntimeError(f"exit status {status}: {errors}")

    def connect(self):
        return Client(self.port)

    def ask(self, request):
        """Sends the bytes on a connection of their own; the answer."""
        with self.connect() as client:
            client.send(request)
            return client.answer(is_head=request.startswith(b"HEAD"))

    def get(self, target):
        return self.ask(b"GET " + target.encode("latin-1") + b" HTTP/1.1\r\nHost: test\r\n\r\n")

    def resident_kib(self):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
        raise RuntimeError("no VmRSS")


class Answer:
    def __init__(self, status, reason, fields, body):
        self.status, self.reason, self.fields, self.body = status, reason, fields, body

    def __repr__(self):
        return f"{self.status} {self.reason} {self.fields} {self.body[:80]!r}"


class Client:
    """A connection."""

    def __init__(self, port, timeout=15):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = bytearray()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def reset(self):
        """Vanishes: the server gets a reset instead of an end of file."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def get(self, target="/"):
        self.send(f"GET {target} HTTP/1.1\r\nHost: test\r\n\r\n".encode("latin-1"))
        return self.answer()

    def _fill(self):
        data = self.socket.recv(65536)
        if not data:
            raise EOFError(f"the connection ended after {bytes(self.received[:200])!r}")
        self.received += data

    def _line(self):
        while b"\r\n" not in self.received:
            self._fill()
        line, _, rest = self.received.partition(b"\r\n")
        self.received = rest
        return line.decode("latin-1")

    def answer(self, is_head=False):
        version, status, reason = self._line().split(" ", 2)
        assert version == "HTTP/1.1", version
        fields = {}
        while line := self._line():
            name, _, value = line.partition(":")
            assert name.lower() not in fields, f"{name} twice"
            fields[name.lower()] = value.strip()
        size = 0 if is_head or status == "304" else int(fields["content-length"])
        while len(self.received) < size:
            self._fill()
        body = bytes(self.received[:size])
        del self.received[:size]
        return Answer(int(status), reason, fields, body)

    def is_closed(self):
        """Nothing more is received, and the server has ended its side."""
        if self.received:
            return False
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True


def wait_until(condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


class ServerTest(unittest.TestCase):
    """One server for all tests of the class, over files that make_files() has made."""

    options = ()

    @classmethod
    def make_files(cls, root):
        pass

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.root = pathlib.Path(cls.folder.name) / "root"
        cls.root.mkdir()
        cls.make_files(cls.root)
        cls.server = Server(cls.root, *cls.options)

    @classmethod
    def tearDownClass(cls):
        try:
            with cls.server:
                pass
        finally:
            cls.folder.cleanup()


def main():
    global binary
    # This module is imported by name, while the test program is __main__.
    sys.modules["server_process"].binary = os.path.abspath(sys.argv.pop(1))
    unittest.main(module="__main__", verbosity=2)
