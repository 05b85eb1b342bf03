#!/usr/bin/env python3
"""Sizes, times and numbers are limited, and a client at a limit does not disturb the others."""
import os
import resource
import time

import server_process


class Limits(server_process.ServerTest):
    options = ("--header-limit", 4096, "--header-timeout", 1, "--idle-timeout", 1, "--max-connections", 20)

    @classmethod
    def make_files(cls, root):
        (root / "small.bin").write_bytes(b"x" * 1024)
        (root / "large.bin").write_bytes(os.urandom(32 * 1024 * 1024))

    def test_long_target(self):
        self.assertEqual(self.server.get("/" + "x" * 3000).status, 404)
        self.assertEqual(self.server.get("/" + "x" * 5000).status, 414)
        self.assertEqual(self.server.get("/" + "x" * 1024 * 1024).status, 414)

    def test_long_fields(self):
        fields = b"".join(b"X-%d: %s\r\n" % (i, b"y" * 90) for i in range(30))
        request = b"GET /small.bin HTTP/1.1\r\nHost: test\r\n" + fields + b"\r\n"
        self.assertEqual(self.server.ask(request).status, 200)
        for fields in b"X: " + b"y" * 5000, b"y" * 5000, b"X: y\r\n" * 1000, b"X: " + b"y" * 1024 * 1024:
            with self.subTest(fields[:20]), self.server.connect() as client:
                client.send(b"GET /small.bin HTTP/1.1\r\nHost: test\r\n" + fields + b"\r\n\r\n")
                answer = client.answer()
                self.assertEqual((answer.status, answer.fields["connection"]), (431, "close"))
                self.assertTrue(client.is_closed())

    def test_the_limit_is_for_each_request(self):
        with self.server.connect() as client:
            for _ in range(200):
                client.send(b"GET /small.bin HTTP/1.1\r\nHost: test\r\nX: " + b"y" * 100 + b"\r\n\r\n")
                self.assertEqual(client.answer().status, 200)

    def test_idle_connection_is_closed(self):
        with self.server.connect() as client:
            start = time.monotonic()
            self.assertTrue(client.is_closed())
            self.assertGreater(time.monotonic() - start, 0.9)
        with self.server.connect() as client:
            self.assertEqual(client.get("/small.bin").status, 200)
            time.sleep(0.7)
            self.assertEqual(client.get("/small.bin").status, 200)
            self.assertTrue(client.is_closed())

    def test_slow_head(self):
        """A byte now and then does not extend the time for a request's head."""
        with self.server.connect() as client:
            start = time.monotonic()
            client.socket.settimeout(0.2)
            answer = None
            for byte in b"GET /small.bin HTTP/1.1\r\nHost: test\r\n" + b"X" * 100:
                client.send(bytes([byte]))
                try:
                    answer = client.answer()
                    break
                except TimeoutError:
                    pass
            self.assertIsNotNone(answer)
            self.assertEqual((answer.status, answer.fields["connection"]), (408, "close"))
            self.assertLess(time.monotonic() - start, 4)
            client.socket.settimeout(15)
            self.assertTrue(client.is_closed())

    def test_a_reader_that_stops_is_dropped(self):
        with self.server.connect() as client:
            client.send(b"GET /large.bin HTTP/1.1\r\nHost: test\r\n\r\n")
            time.sleep(3)  # more than idle_timeout, without reading
            size = 0
            try:
                while data := client.socket.recv(1 << 20):
                    size += len(data)
            except ConnectionResetError:
                pass
            self.assertLess(size, 32 * 1024 * 1024)

    def test_a_slow_reader_is_served(self):
        """It takes longer than idle_timeout in all, but is never idle for that long."""
        with self.server.connect() as client:
            client.send(b"GET /large.bin HTTP/1.1\r\nHost: test\r\n\r\n")
            received = 0
            start = time.monotonic()
            while received < 32 * 1024 * 1024:
                data = client.socket.recv(256 * 1024)
                self.assertTrue(data)
                received += len(data)
                if time.monotonic() - start < 3:
                    time.sleep(0.05)
            self.assertGreater(time.monotonic() - start, 2.5)

    def served_client(self):
        """None: the server has not noticed yet that the connections of the last test are closed."""
        client = self.server.connect()
        try:
            if client.get("/small.bin").status == 200:
                return client
        except OSError:
            pass
        client.close()
        return None

    def test_too_many_connections(self):
        clients, end = [], time.monotonic() + 10
        while len(clients) < 20 and time.monotonic() < end:
            if client := self.served_client():
                clients.append(client)
        self.assertEqual(len(clients), 20)
        with self.server.connect() as extra:
            answer = extra.answer()
            self.assertEqual((answer.status, answer.fields["connection"]), (503, "close"))
            self.assertTrue(extra.is_closed())
        for client in clients:
            self.assertEqual(client.get("/small.bin").status, 200)
            client.close()
        self.assertTrue(server_process.wait_until(lambda: self.server.get("/small.bin").status == 200))


class Descriptors(server_process.ServerTest):
    """With fewer descriptors than clients the server goes on for those who have one, and for others when they leave."""

    def test_out_of_descriptors(self):
        if server_process.is_sanitized():
            self.skipTest("UndefinedBehaviorSanitizer needs descriptors for its own checks")
        pid = self.server.process.pid
        hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)[1]
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (40, hard))
        clients = []
        for _ in range(60):
            clients.append(self.server.connect())
        time.sleep(0.5)
        self.assertEqual(clients[0].get("/").status, 503)  # has a connection; there is no descriptor for the file
        for client in clients[:50]:
            client.close()
        for client in clients[50:]:
            self.assertEqual(client.get("/").status, 200)
            client.close()
        # It said so, once for each time it got stuck, and not for each try.
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (hard, hard))
        status, errors = self.server.stop()
        self.assertEqual(status, 0)
        self.assertIn("accept", errors)
        self.assertLess(len(errors.splitlines()), 10, errors)


if __name__ == "__main__":
    server_process.main()
