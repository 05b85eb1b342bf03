#!/usr/bin/env python3
"""What can be wrong at the start is said in one line, with exit status 1; an unreadable file is 403."""
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import unittest

import server_process


def start(*options):
    command = [*server_process.command(), *map(str, options)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=20)
    return result.returncode, result.stdout, result.stderr


class Start(unittest.TestCase):
    def assert_fails(self, words, *options):
        status, out, errors = start(*options)
        self.assertEqual((status, out, len(errors.splitlines())), (1, "", 1), errors)
        for word in words:
            self.assertIn(word, errors)

    def test_port_in_use(self):
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            self.assert_fails(["127.0.0.1", str(port), "in use"], "--root", "/", "--port", port)

    def test_address_not_local(self):
        self.assert_fails(["192.0.2.1", "assign requested address"],
                          "--root", "/", "--address", "192.0.2.1", "--port", 0)

    def test_address_that_is_none(self):
        self.assert_fails(["nonsense"], "--root", "/", "--address", "nonsense", "--port", 0)

    def test_missing_root(self):
        self.assert_fails(["/no/such/folder", "No such file or directory"], "--root", "/no/such/folder", "--port", 0)

    def test_root_that_is_a_file(self):
        self.assert_fails([sys.executable, "Not a directory"], "--root", sys.executable, "--port", 0)

    def test_wrong_options(self):
        for options in ["--port", "99999"], ["--port", "x"], ["--no-such-option"], ["--header-limit", "1"]:
            status, _, errors = start(*options)
            self.assertEqual(status, 2)
            self.assertIn(options[0], errors)

    def test_help(self):
        status, out, _ = start("--help")
        self.assertEqual(status, 0)
        for option in "--root", "--address", "--port", "--header-limit", "--idle-timeout", "--drain-timeout":
            self.assertIn(option, out)

    def test_ipv6(self):
        with tempfile.TemporaryDirectory() as root:
            with server_process.Server(root, "--address", "::1") as server:
                with socket.create_connection(("::1", server.port)) as client:
                    client.sendall(b"GET / HTTP/1.0\r\n\r\n")
                    self.assertIn(b"200 OK", client.makefile("rb").read())

    @unittest.skipUnless(os.geteuid() == 0, "has to become another user, or root can read everything")
    def test_unreadable_file(self):
        with tempfile.TemporaryDirectory() as root:
            os.chmod(root, 0o755)
            secret = pathlib.Path(root) / "secret.txt"
            secret.write_text("secret")
            secret.chmod(0)
            (pathlib.Path(root) / "open.txt").write_text("open")
            # The programs of the build may be out of the other user's reach: so the server gives up the right itself.
            with server_process.Server(root, wrapper=["setpriv", "--bounding-set=-all", "--inh-caps=-all"]) as server:
                self.assertEqual(server.get("/secret.txt").status, 403)
                self.assertEqual(server.get("/open.txt").status, 200)


if __name__ == "__main__":
    server_process.main()
