#!/usr/bin/env python3
"""SIGINT and SIGTERM: no new connections, what is under way is finished within a deadline, exit status 0."""
import os
import pathlib
import signal
import socket
import tempfile
import threading
import time
import unittest

import server_process


class Shutdown(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        (self.root / "small.bin").write_bytes(b"x" * 1024)
        self.large = os.urandom(32 * 1024 * 1024)
        (self.root / "large.bin").write_bytes(self.large)

    def connect(self, server):
        client = server.connect()
        self.addCleanup(client.close)
        return client

    def test_idle_connections_are_closed_at_once(self):
        for how in signal.SIGINT, signal.SIGTERM:
            server = server_process.Server(self.root)
            fresh, used = self.connect(server), self.connect(server)
            self.assertEqual(used.get("/small.bin").status, 200)
            start = time.monotonic()
            self.assertEqual(server.stop(how), (0, ""))
            self.assertLess(time.monotonic() - start, 2)
            self.assertTrue(fresh.is_closed())
            self.assertTrue(used.is_closed())
            with self.assertRaises(ConnectionRefusedError):
                server.connect()

    def test_an_answer_under_way_is_finished(self):
        server = server_process.Server(self.root)
        client = self.connect(server)
        client.send(b"GET /large.bin HTTP/1.1\r\nHost: test\r\n\r\n")
        client.socket.recv(1, socket.MSG_PEEK)  # the answer has begun
        threading.Timer(0.2, server.process.terminate).start()
        time.sleep(0.6)
        with self.assertRaises(ConnectionRefusedError):
            server.connect()
        self.assertEqual(client.answer().body, self.large)
        self.assertTrue(client.is_closed())
        self.assertEqual(server.stop(), (0, ""))

    def test_a_request_under_way_is_answered_and_is_the_last(self):
        server = server_process.Server(self.root)
        client = self.connect(server)
        client.send(b"GET /small.bin HTTP/1.1\r\nHo")
        time.sleep(0.2)
        server.process.terminate()
        time.sleep(0.3)
        client.send(b"st: test\r\n\r\n")
        answer = client.answer()
        self.assertEqual((answer.status, answer.fields["connection"]), (200, "close"))
        self.assertTrue(client.is_closed())
        self.assertEqual(server.stop(), (0, ""))

    def test_the_deadline(self):
        server = server_process.Server(self.root, "--drain-timeout", 1)
        client = self.connect(server)
        client.send(b"GET /large.bin HTTP/1.1\r\nHost: test\r\n\r\n")  # and never reads
        time.sleep(0.2)
        start = time.monotonic()
        status, errors = server.stop()
        self.assertEqual(status, 0)
        self.assertIn("gave up on 1 connection", errors)
        self.assertTrue(0.9 < time.monotonic() - start < 4)

    def test_a_second_signal_ends_the_waiting(self):
        server = server_process.Server(self.root, "--drain-timeout", 60)
        client = self.connect(server)
        client.send(b"GET /large.bin HTTP/1.1\r\nHost: test\r\n\r\n")
        time.sleep(0.2)
        server.process.terminate()
        time.sleep(0.3)
        self.assertIsNone(server.process.poll())
        start = time.monotonic()
        self.assertEqual(server.stop()[0], 0)
        self.assertLess(time.monotonic() - start, 4)

    def test_under_load(self):
        """Signalled while requests pour in: every answer that begins is complete."""
        server = server_process.Server(self.root)
        failures = []

        def load():
            try:
                with server.connect() as client:
                    while True:
                        answer = client.get("/small.bin")
                        if answer.status != 200 or len(answer.body) != 1024:
                            failures.append(answer)
                        if answer.fields.get("connection") == "close":
                            return
            except (EOFError, ConnectionError) as error:
                if "after b''" not in str(error) and not isinstance(error, ConnectionError):
                    failures.append(error)

        threads = [threading.Thread(target=load) for _ in range(8)]
        for thread in threads:
            thread.start()
        time.sleep(0.3)
        self.assertEqual(server.stop(), (0, ""))
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])


if __name__ == "__main__":
    server_process.main()
