#!/usr/bin/env python3
"""The HTTP client against nginx, and against servers that are slow, busy, close early, or talk nonsense.

fetch_test.py PATH-OF-http_client [unittest's arguments]
"""
import os
import pathlib
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

binary = os.path.abspath(sys.argv.pop(1))


def fetch(*arguments, **more):
    """The client's exit status, its lines, and what it took."""
    start = time.monotonic()
    ran = subprocess.run([*shlex.split(os.environ.get("MESON_EXE_WRAPPER", "")), binary, *map(str, arguments)],
                         capture_output=True, text=True, timeout=60, **more)
    assert ran.stderr == "" or ran.returncode == 2, ran.stderr
    return ran.returncode, ran.stdout.splitlines(), time.monotonic() - start


class Scripted:
    """A server whose answer to the n-th connection (from 0) is what `answer(n, socket)` does with it."""

    def __init__(self, answer, host="127.0.0.1"):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.listener = socket.create_server((host, 0), family=family, backlog=200)
        self.requests = []
        self.port = self.listener.getsockname()[1]
        self.answer, self.connections, self.times = answer, 0, []
        self.now = self.most = 0
        self.lock = threading.Lock()
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1 # both before it is answered
            self.times.append(time.monotonic())
            threading.Thread(target=self.serve, args=(self.connections - 1, client), daemon=True).start()

    def serve(self, number, client):
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        try:
            with client:
                request = b""
                while b"\r\n\r\n" not in request:
                    data = client.recv(65536)
                    if not data:
                        return
                    request += data
                self.requests.append(request.decode())
                self.answer(number, client)
        except OSError:
            pass
        finally:
            with self.lock:
                self.now -= 1

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def __str__(self):
        return f"http://127.0.0.1:{self.port}/"


def saying(*answers):
    """The n-th connection gets the n-th answer; those after the last get the last."""
    return Scripted(lambda number, client: client.sendall(answers[min(number, len(answers) - 1)]))


good = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
busy = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"


class Answers(unittest.TestCase):
    def one(self, server, *options):
        status, lines, took = fetch(server, *options)
        self.assertEqual(len(lines), 1)
        return status, lines[0], took

    def test_how_an_answer_ends(self):
        for answer, size in ((good, 5),
                             (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\n\r\n", 7),
                             (b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"x" * 100_000, 100_000),
                             (b"HTTP/1.0 200 OK\r\n\r\nold", 3),
                             (b"HTTP/1.1 204 No Content\r\n\r\n", 0),
                             (b"HTTP/1.1 100 Continue\r\n\r\n" + good, 5)):
            with self.subTest(answer[:60]), saying(answer) as server:
                status, line, _ = self.one(server)
                self.assertEqual(status, 0, line)
                self.assertIn(f" {size} bytes", line)

    def test_byte_by_byte(self):
        def answer(_, client):
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in good:
                client.send(bytes([byte]))
        with Scripted(answer) as server:
            self.assertEqual(self.one(server)[0], 0)

    def test_status(self):
        with saying(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n") as server:
            status, line, _ = self.one(server)
            self.assertEqual((status, line[:3], server.connections), (1, "404", 1), "not tried again")

    def test_busy_servers_are_asked_again(self):
        with saying(busy, busy, good) as server:
            status, line, _ = self.one(server, "--pause", 200)
            self.assertEqual(status, 0, line)
            self.assertIn("(3 attempts)", line)
            # Half of the pause at the least, and twice that before the third.
            first, second, third = server.times
            self.assertGreaterEqual(second - first, 0.09)
            self.assertGreaterEqual(third - second, 0.19)
        with saying(busy) as server:
            status, line, _ = self.one(server, "--pause", 1, "--attempts", 4)
            self.assertEqual((status, line[:3], server.connections), (1, "503", 4))

    def test_early_ends_are_tried_again(self):
        for early in b"", b"HTTP/1.1 200 OK\r\nContent-Le", good[:-1], b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc":
            with self.subTest(early), saying(early, good) as server:
                status, line, _ = self.one(server, "--pause", 1)
                self.assertEqual(status, 0, line)
                self.assertIn("(2 attempts)", line)
            with self.subTest(early), saying(early) as server:
                status, line, _ = self.one(server, "--pause", 1, "--attempts", 2)
                self.assertEqual(status, 1)
                self.assertIn("the connection ended before the answer did", line)

    def test_nonsense(self):
        with saying(b"220 mail.example.org ESMTP\r\n") as server:
            status, line, _ = self.one(server, "--pause", 1)
            self.assertEqual(status, 1)
            self.assertIn("the answer is not HTTP", line)

    def test_a_silent_server(self):
        silent = Scripted(lambda _, client: client.recv(1))
        with silent as server:
            status, line, took = self.one(server, "--deadline", 300)
            self.assertEqual(status, 1)
            self.assertIn("timed out", line.lower())
            self.assertLess(took, 5)
            self.assertEqual(server.connections, 1, "the page's deadline is for all attempts together")
            before = server.connections
            status, line, took = self.one(server, "--attempt-timeout", 100, "--pause", 1, "--attempts", 3)
            self.assertIn("(3 attempts)", line)
            self.assertEqual(server.connections - before, 3)

    def test_a_slow_server_does_not_delay_others(self):
        slow = Scripted(lambda _, client: (time.sleep(1), client.sendall(good)))
        with slow, saying(good) as fast:
            status, lines, took = fetch(slow, *[fast] * 20, "--concurrency", 5)
            self.assertEqual(status, 0, lines)
            self.assertIn(str(slow), lines[-1], "it came last, though it was asked first")

    def test_the_limit(self):
        slow = Scripted(lambda _, client: (time.sleep(0.1), client.sendall(good)))
        with slow as server:
            status, lines, took = fetch(*[server] * 30, "--concurrency", 10)
            self.assertEqual((status, len(lines)), (0, 30))
            self.assertLess(took, 2.9, "not one after the other")
            self.assertLessEqual(server.most, 11)  # one that is leaving
            self.assertGreater(server.most, 5)

    def test_nobody_listens(self):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        status, line, _ = self.one(f"http://127.0.0.1:{port}/", "--pause", 1)
        self.assertEqual(status, 1)
        self.assertIn(f"connect to 127.0.0.1, port {port} (127.0.0.1:{port}: Connection refused)", line)
        self.assertIn("(3 attempts)", line)

    def test_redirections(self):
        with saying(good) as target:
            for location in f"http://127.0.0.1:{target.port}/there", f"//127.0.0.1:{target.port}/there":
                with saying(b"HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % location.encode()) as server:
                    self.assertEqual(self.one(server)[0], 0)
        with saying(b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n") as circle:
            status, line, _ = self.one(circle, "--redirections", 3)
            self.assertEqual((status, circle.connections), (1, 4))
            self.assertIn("too many redirections", line)

    def test_what_is_asked_for(self):
        redirection = b"HTTP/1.1 302 Found\r\nLocation: /there?a=b#part\r\nContent-Length: 0\r\n\r\n"
        with saying(redirection, good) as server:
            self.assertEqual(self.one(f"{server}here#part")[0], 0)
            for request, target in zip(server.requests, ("/here", "/there?a=b")):
                self.assertTrue(request.startswith(f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"), request)
        if socket.has_dualstack_ipv6():
            with Scripted(lambda _, client: client.sendall(good), "::1") as server:
                self.assertEqual(self.one(f"http://[::1]:{server.port}/")[0], 0)
                self.assertIn(f"\r\nHost: [::1]:{server.port}\r\n", server.requests[0])

    def test_lists(self):
        with saying(good) as server, tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
            file.write(f"# pages\n{server}a\n\n{server}b\n")
            file.flush()
            self.assertEqual(len(fetch("--list", file.name)[1]), 2)
            self.assertEqual(len(fetch("--list", "-", server, input=f"{server}c\n")[1]), 2)
        self.assertEqual(fetch("--list", "/nonexistent")[0], 2)
        self.assertEqual(fetch("--concurrency", "0")[0], 2)
        for wrong in "ftp://127.0.0.1/", "nonsense", "http://":
            status, line, _ = self.one(wrong)
            self.assertEqual(status, 1, line)
            self.assertRegex(line, "not a URL|neither http nor https")


@unittest.skipUnless(shutil.which("nginx") and shutil.which("openssl"), "no nginx or openssl")
class Nginx(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        folder = pathlib.Path(cls.folder.name)
        folder.chmod(0o755)
        root = folder / "root"
        root.mkdir()
        for number in range(200):
            (root / f"{number}").write_bytes(b"x" * number * 1000)
        cls.certificate = folder / "certificate.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-keyout", folder / "key.pem", "-out", cls.certificate, "-days", "2", "-subj", "/CN=localhost",
                        "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"], check=True, capture_output=True)
        # nginx cannot be asked which port the kernel chose; Unix sockets are no use here. So free ones are looked for, and
        # another pair if somebody was faster.
        for _ in range(10):
            with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
                cls.plain, cls.secure = one.getsockname()[1], two.getsockname()[1]
            cls.start(folder, root)
            end = time.monotonic() + 10
            while cls.process.poll() is None and time.monotonic() < end:
                try:
                    socket.create_connection(("127.0.0.1", cls.secure), 1).close()
                    return
                except OSError:
                    time.sleep(0.02)
        raise RuntimeError("nginx does not start")

    @classmethod
    def start(cls, folder, root):
        user = "user root;" if os.geteuid() == 0 else ""
        unused = "\n".join(f"{kind}_temp_path {folder}/{kind};" for kind in
                           ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        (folder / "nginx.conf").write_text(f"""
            {user} worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log;
            events {{ worker_connections 1024; }}
            http {{
                access_log off; {unused}
                server {{
                    listen 127.0.0.1:{cls.plain}; listen 127.0.0.1:{cls.secure} ssl; root {root};
                    ssl_certificate {cls.certificate}; ssl_certificate_key {folder}/key.pem;
                    location = /moved {{ return 301 /7; }}
                    location = /busy {{ return 503; }}
                    location = /exposed {{ return 302 http://127.0.0.1:{cls.plain}/7; }}
                }}
            }}""")
        cls.process = subprocess.Popen(["nginx", "-p", folder, "-e", folder / "error.log", "-c", folder / "nginx.conf"])

    @classmethod
    def tearDownClass(cls):
        cls.process.terminate()
        cls.process.wait(timeout=20)
        cls.folder.cleanup()

    def test_many_pages(self):
        for base, options in ((f"http://127.0.0.1:{self.plain}", ()),
                              (f"https://localhost:{self.secure}", ("--authorities", self.certificate))):
            with self.subTest(base):
                pages = "\n".join(f"{base}/{number}" for number in range(200))
                status, lines, _ = fetch("--list", "-", "--concurrency", 20, *options, input=pages)
                self.assertEqual((status, len(lines)), (0, 200))
                for line in lines:
                    words = line.split()
                    self.assertEqual(words[0], "200")
                    self.assertEqual(int(words[1]), 1000 * int(line.rpartition("/")[2]), line)

    def test_others(self):
        base = f"http://127.0.0.1:{self.plain}"
        status, lines, _ = fetch(f"{base}/missing", f"{base}/moved", f"{base}/busy", "--pause", 1, "--concurrency", 1)
        self.assertEqual((status, [line[:3] for line in lines]), (1, ["404", "200", "503"]))
        self.assertIn(" 7000 bytes", lines[1])
        self.assertIn("(3 attempts)", lines[2])

    def test_certificates(self):
        address = f"https://localhost:{self.secure}/1"
        status, lines, _ = fetch(address)
        self.assertEqual(status, 1)
        self.assertIn("self-signed certificate", lines[0])
        self.assertNotIn("attempts", lines[0], "no use")
        self.assertEqual(fetch(address, "--insecure")[0], 0)
        exposed = fetch(f"https://localhost:{self.secure}/exposed", "--insecure")
        self.assertEqual(exposed[0], 1)
        self.assertIn("a redirection from https to http", exposed[1][0])


if __name__ == "__main__":
    unittest.main(verbosity=2)
