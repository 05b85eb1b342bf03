#!/usr/bin/env python3
"""HTTPS: the same server behind TLS, for Python's ssl, for curl, and for clients that mean no good."""
import os
import pathlib
import shutil
import ssl
import subprocess
import tempfile
import time
import unittest

import server_process


class SecureClient(server_process.Client):
    def __init__(self, port, context, host="localhost"):
        super().__init__(port)
        self.socket = context.wrap_socket(self.socket, server_hostname=host)


class Secure(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not shutil.which("openssl"):
            raise unittest.SkipTest("no program openssl")
        cls.folder = tempfile.TemporaryDirectory()
        folder = pathlib.Path(cls.folder.name)
        cls.root = folder / "root"
        cls.root.mkdir()
        (cls.root / "small.txt").write_bytes(b"small\n")
        cls.large = os.urandom(8 * 1024 * 1024)
        (cls.root / "large.bin").write_bytes(cls.large)
        cls.certificate, cls.key = folder / "certificate.pem", folder / "key.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-keyout", cls.key, "-out", cls.certificate, "-days", "2", "-subj", "/CN=localhost",
                        "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"], check=True, capture_output=True)
        cls.context = ssl.create_default_context(cafile=cls.certificate)
        cls.context.set_alpn_protocols(["h2", "http/1.1"])

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def server(self, *options):
        return server_process.Server(self.root, "--certificate", self.certificate, "--key", self.key, *options)

    def connect(self, server):
        return SecureClient(server.port, self.context)

    def test_answers(self):
        with self.server() as server, self.connect(server) as client:
            self.assertEqual(client.socket.selected_alpn_protocol(), "http/1.1")
            for _ in range(3):  # keep-alive
                self.assertEqual(client.get("/small.txt").body, b"small\n")
                self.assertEqual(client.get("/large.bin").body, self.large)
                self.assertEqual(client.get("/missing").status, 404)
            client.send(b"GET /small.txt HTTP/1.1\r\nHost: test\r\n\r\n" * 100)
            for _ in range(100):
                self.assertEqual(client.answer().body, b"small\n")

    def test_the_end_is_said(self):
        """Python raises if the connection ends without close_notify."""
        with self.server() as server, self.connect(server) as client:
            client.socket.suppress_ragged_eofs = False
            client.send(b"GET /small.txt HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
            self.assertEqual(client.answer().body, b"small\n")
            self.assertEqual(client.socket.recv(1), b"")

    @unittest.skipUnless(shutil.which("curl"), "no curl")
    def test_curl(self):
        with self.server() as server:
            address = f"https://localhost:{server.port}"
            got = subprocess.run(["curl", "-sS", "--noproxy", "*", "--cacert", self.certificate, "--resolve",
                                  f"localhost:{server.port}:127.0.0.1", f"{address}/small.txt", f"{address}/large.bin"],
                                 capture_output=True, timeout=60)
            self.assertEqual(got.stderr, b"")
            self.assertEqual(got.stdout, b"small\n" + self.large)
            got = subprocess.run(["curl", "-sS", "--noproxy", "*", f"https://127.0.0.1:{server.port}/small.txt"],
                                 capture_output=True, timeout=60)
            self.assertEqual(got.returncode, 60, "a certificate that curl does not know")

    def test_bad_clients_do_not_disturb_others(self):
        with self.server() as server, self.connect(server) as good:
            for data in b"GET / HTTP/1.1\r\n\r\n", os.urandom(1000), b"\x16\x03\x01\x02\x00" + os.urandom(512), b"\x16":
                with server.connect() as bad:
                    bad.send(data)
                self.assertEqual(good.get("/small.txt").status, 200)
            with self.assertRaises(ssl.SSLError):
                SecureClient(server.port, ssl.create_default_context())
            self.assertEqual(good.get("/small.txt").status, 200)

    def test_slow_handshakes_are_dropped(self):
        """Who says nothing, or a byte now and then, has --header-timeout for its handshake; others are served meanwhile."""
        with self.server("--header-timeout", 1) as server:
            slow = [server.connect() for _ in range(50)]
            start = time.monotonic()
            hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100)
            gone = 0
            for byte in hello:
                for client in slow[:25]:
                    try:
                        client.send(bytes([byte]))
                    except OSError:
                        gone += 1
                with self.connect(server) as good:
                    asked = time.monotonic()
                    self.assertEqual(good.get("/small.txt").status, 200)
                    self.assertLess(time.monotonic() - asked, 1)
                if gone >= 25:
                    break
                time.sleep(0.1)
            self.assertGreaterEqual(gone, 25)
            self.assertLess(time.monotonic() - start, 8)
            for client in slow[25:]:
                self.assertTrue(client.is_closed())
            for client in slow:
                client.close()

    def test_a_reader_that_stops_is_dropped(self):
        (self.root / "huge.bin").write_bytes(bytes(64 * 1024 * 1024))
        with self.server("--idle-timeout", 1, "--status-path", "/status") as server, self.connect(server) as client:
            client.send(b"GET /huge.bin HTTP/1.1\r\nHost: test\r\n\r\n")

            def is_alone():
                with self.connect(server) as other:
                    return b'"connections": 1,' in other.get("/status").body
            self.assertFalse(is_alone())
            self.assertTrue(server_process.wait_until(is_alone, 20))
            size = 0
            try:
                while data := client.socket.recv(1 << 16):
                    size += len(data)
            except (ssl.SSLError, OSError):
                pass
            self.assertLess(size, 64 * 1024 * 1024)

    def test_too_many_connections(self):
        with self.server("--max-connections", 1) as server, self.connect(server) as first:
            self.assertEqual(first.get("/small.txt").status, 200)
            with self.assertRaises((ssl.SSLError, OSError)):
                self.connect(server)
            self.assertEqual(first.get("/small.txt").status, 200)

    def test_shutdown_with_idle_connections(self):
        with self.server() as server, self.connect(server) as client:
            self.assertEqual(client.get("/small.txt").status, 200)
            start = time.monotonic()
            status, errors = server.stop()
            self.assertEqual((status, errors), (0, ""))
            self.assertLess(time.monotonic() - start, 5)

    def test_wrong_options(self):
        for options, status, says in (((("--certificate", self.certificate)), 2, "--key"),
                                      (("--certificate", self.certificate, "--key", "/nonexistent.pem"), 1, "/nonexistent.pem"),
                                      (("--certificate", self.key, "--key", self.key), 1, str(self.key))):
            with self.subTest(options):
                ran = subprocess.run([*server_process.command(), "--port", "0", *options], capture_output=True, text=True,
                                     timeout=20)
                self.assertEqual(ran.returncode, status, ran.stderr)
                self.assertIn(says, ran.stderr)


if __name__ == "__main__":
    server_process.main()
