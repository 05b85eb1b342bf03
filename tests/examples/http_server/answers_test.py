#!/usr/bin/env python3
"""What the server answers to well-formed and malformed requests."""
import email.utils
import os
import re
import time

import server_process


class Answers(server_process.ServerTest):
    @classmethod
    def make_files(cls, root):
        cls.small = os.urandom(1024)
        cls.large = os.urandom(3 * 1024 * 1024 + 17)
        (root / "small.bin").write_bytes(cls.small)
        (root / "large.bin").write_bytes(cls.large)
        (root / "empty.txt").write_bytes(b"")
        (root / "limit.bin").write_bytes(cls.large[:65536])
        (root / "beyond.bin").write_bytes(cls.large[:65537])
        (root / "page.HTML").write_text("<p>")
        (root / "noending").write_text("x")
        (root / "with space & more.txt").write_text("spaced")
        (root / "sub").mkdir()
        (root / "sub" / "index.html").write_text("the index")
        (root / "list").mkdir()
        (root / "list" / "a<b>.md").write_text("# a")
        (root / "list" / ".hidden").write_text("")
        (root / "list" / "deeper").mkdir()

    def test_get(self):
        answer = self.server.get("/small.bin")
        self.assertEqual((answer.status, answer.reason), (200, "OK"))
        self.assertEqual(answer.body, self.small)
        self.assertEqual(answer.fields["content-length"], "1024")
        self.assertEqual(answer.fields["content-type"], "application/octet-stream")
        self.assertNotIn("connection", answer.fields)
        date = email.utils.parsedate_to_datetime(answer.fields["date"]).timestamp()
        self.assertLess(abs(date - time.time()), 3)
        self.assertEqual(answer.fields["last-modified"],
                         email.utils.formatdate((self.root / "small.bin").stat().st_mtime, usegmt=True))

    def test_files_of_all_sizes(self):
        sizes = {"empty.txt": 0, "limit.bin": 65536, "beyond.bin": 65537, "large.bin": len(self.large)}
        for name, size in sizes.items():
            with self.subTest(name):
                self.assertEqual(self.server.get("/" + name).body, self.large[:size])

    def test_head_has_the_fields_of_get(self):
        for target in "/small.bin", "/large.bin", "/missing":
            with self.subTest(target), self.server.connect() as client:
                request = f" {target} HTTP/1.1\r\nHost: test\r\n\r\n".encode()
                client.send(b"HEAD" + request)
                head = client.answer(is_head=True)
                client.send(b"GET" + request)  # a body after HEAD would be taken for the beginning of this answer
                get = client.answer()
                self.assertEqual(head.status, get.status)
                head.fields.pop("date"), get.fields.pop("date")
                self.assertEqual(head.fields, get.fields)

    def test_content_types(self):
        for target, kind in (("/page.HTML", "text/html; charset=utf-8"), ("/noending", "application/octet-stream"),
                             ("/empty.txt", "text/plain; charset=utf-8")):
            self.assertEqual(self.server.get(target).fields["content-type"], kind)

    def test_range_is_ignored(self):
        answer = self.server.ask(b"GET /small.bin HTTP/1.1\r\nHost: test\r\nRange: bytes=0-9\r\n\r\n")
        self.assertEqual((answer.status, answer.body), (200, self.small))

    def test_not_found(self):
        answer = self.server.get("/missing")
        self.assertEqual((answer.status, answer.reason), (404, "Not Found"))
        self.assertIn(b"404", answer.body)
        self.assertEqual(self.server.get("/small.bin/").status, 404)
        self.assertEqual(self.server.get("/small.bin/x").status, 404)
        self.assertEqual(self.server.get("/" + "n" * 300).status, 404)

    def test_query_is_no_part_of_the_path(self):
        self.assertEqual(self.server.get("/small.bin?a=/../b").body, self.small)

    def test_percent_decoding(self):
        self.assertEqual(self.server.get("/with%20space%20%26%20more.txt").body, b"spaced")
        self.assertEqual(self.server.get("/%73mall.bin").body, self.small)
        self.assertEqual(self.server.get("//small.bin").body, self.small)
        self.assertEqual(self.server.get("/./sub/./index.html").body, b"the index")

    def test_absolute_target(self):
        self.assertEqual(self.server.get("http://test:80/small.bin").body, self.small)
        self.assertEqual(self.server.get("http://test?x").status, 200)

    def test_directories(self):
        self.assertEqual(self.server.get("/sub/").body, b"the index")
        moved = self.server.get("/sub")
        self.assertEqual((moved.status, moved.fields["location"]), (301, "/sub/"))
        self.assertEqual(self.server.get("//sub").fields["location"], "/sub/")
        listing = self.server.get("/list/")
        self.assertEqual(listing.fields["content-type"], "text/html; charset=utf-8")
        text = listing.body.decode()
        self.assertIn('<a href="./a%3Cb%3E.md">a&lt;b&gt;.md</a>', text)
        self.assertIn('<a href="./deeper/">', text)
        self.assertNotIn("hidden", text)
        self.assertIn("small.bin", self.server.get("/").body.decode())

    def test_methods(self):
        for method in b"POST", b"PUT", b"DELETE", b"OPTIONS", b"TRACE", b"PATCH":
            with self.subTest(method):
                answer = self.server.ask(method + b" / HTTP/1.1\r\nHost: test\r\n\r\n")
                self.assertEqual((answer.status, answer.fields["allow"]), (405, "GET, HEAD"))
        answer = self.server.ask(b"CONNECT test:443 HTTP/1.1\r\nHost: test\r\n\r\n")
        self.assertEqual(answer.status, 405)
        self.assertEqual(self.server.ask(b"OPTIONS * HTTP/1.1\r\nHost: test\r\n\r\n").status, 405)
        self.assertEqual(self.server.ask(b"BREW /pot HTTP/1.1\r\nHost: test\r\n\r\n").status, 501)
        self.assertEqual(self.server.ask(b"GETS / HTTP/1.1\r\nHost: test\r\n\r\n").status, 501)

    def test_connection_survives_a_refused_method(self):
        with self.server.connect() as client:
            client.send(b"DELETE /small.bin HTTP/1.1\r\nHost: test\r\n\r\n")
            self.assertEqual(client.answer().status, 405)
            self.assertEqual(client.get("/small.bin").status, 200)

    def test_request_with_a_body_is_answered_and_the_connection_closed(self):
        body = b"GET /small.bin HTTP/1.1\r\nHost: test\r\n\r\n"  # must not be taken for a request
        for head, status in ((b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n" % len(body), 405),
                             (b"GET / HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n" % len(body), 413),
                             (b"GET / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n", 413)):
            with self.subTest(head), self.server.connect() as client:
                client.send(head + body)
                answer = client.answer()
                self.assertEqual((answer.status, answer.fields["connection"]), (status, "close"))
                self.assertTrue(client.is_closed())

    def test_malformed(self):
        host = b"Host: test\r\n"
        for request, status in (
                (b"GET / HTTP/1.1\r\n\r\n", 400),
                (b"GET / HTTP/1.1\r\n" + host + host + b"\r\n", 400),
                (b"GET  HTTP/1.1\r\n" + host + b"\r\n", 400),
                (b"GET x HTTP/1.1\r\n" + host + b"\r\n", 400),
                (b"GET /a%zz HTTP/1.1\r\n" + host + b"\r\n", 400),
                (b"GET /a% HTTP/1.1\r\n" + host + b"\r\n", 400),
                (b"GET / HTTP/1.1\r\n" + host + b"no colon\r\n\r\n", 400),
                (b"GET / HTTP/1.1\r\n" + host + b"Content-Length: x\r\n\r\n", 400),
                (b"GET / HTTP/1.1\r\n" + host + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
                (b"GET / HTTP/1.1\r\n" + host + b"X: \0\r\n\r\n", 400),
                (b"GET / FTP/1.1\r\n" + host + b"\r\n", 400),
                (b"GET / HTTP/2.0\r\n" + host + b"\r\n", 505),
                (b"GET / HTTP/0.9\r\n" + host + b"\r\n", 505),
                (b"\x16\x03\x01\x02\x00\x01\x00\x01", 400)):  # the beginning of a TLS handshake
            with self.subTest(request), self.server.connect() as client:
                client.send(request)
                self.assertEqual(client.answer().status, status)
                if request.startswith(b"GET /a%"):  # the request is understood, its path is not
                    continue
                self.assertTrue(client.is_closed())

    def test_keep_alive_and_close(self):
        with self.server.connect() as client:
            for _ in range(50):
                self.assertEqual(client.get("/small.bin").body, self.small)
            client.send(b"GET /small.bin HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
            answer = client.answer()
            self.assertEqual((answer.body, answer.fields["connection"]), (self.small, "close"))
            self.assertTrue(client.is_closed())

    def test_http_1_0(self):
        with self.server.connect() as client:
            client.send(b"GET /small.bin HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            self.assertEqual(client.answer().fields["connection"], "keep-alive")
            client.send(b"GET /small.bin HTTP/1.0\r\n\r\n")
            answer = client.answer()
            self.assertEqual((answer.body, answer.fields["connection"]), (self.small, "close"))
            self.assertTrue(client.is_closed())

    def test_pipelining(self):
        # Far more answers than are sent at once, in order, with every kind among them; and the last one ends it.
        names = ["small.bin", "missing", "limit.bin", "large.bin", "sub", "empty.txt"] * 40
        requests = b"".join(b"GET /%s HTTP/1.1\r\nHost: test\r\n\r\n" % name.encode() for name in names)
        requests += b"GET /small.bin HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"
        expected = {"small.bin": self.small, "limit.bin": self.large[:65536], "large.bin": self.large,
                    "empty.txt": b""}
        with self.server.connect() as client:
            client.send(requests)
            for name in names:
                answer = client.answer()
                if name in expected:
                    self.assertEqual((answer.status, answer.body), (200, expected[name]))
                else:
                    self.assertEqual(answer.status, {"missing": 404, "sub": 301}[name])
            self.assertEqual(client.answer().fields["connection"], "close")
            self.assertTrue(client.is_closed())

    def test_requests_in_pieces(self):
        request = (b"GET /sma%6cl.bin HTTP/1.1\r\nHost: test\r\n"
                   b"If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT\r\n\r\n")
        for cut in range(1, len(request)):
            with self.server.connect() as client:
                client.send(request[:cut])
                time.sleep(0.002)
                client.send(request[cut:])
                self.assertEqual(client.answer().body, self.small, cut)

    def test_not_modified(self):
        changed = self.server.get("/small.bin").fields["last-modified"]
        for since, status in (changed, 304), ("Thu, 01 Jan 1970 00:00:00 GMT", 200), ("nonsense", 200):
            request = f"GET /small.bin HTTP/1.1\r\nHost: test\r\nIf-Modified-Since: {since}\r\n\r\n"
            with self.subTest(since), self.server.connect() as client:
                client.send(request.encode())
                answer = client.answer()
                self.assertEqual((answer.status, answer.fields["last-modified"]), (status, changed))
                self.assertEqual(client.get("/small.bin").status, 200)  # there was no body that got in between

    def test_a_changed_file_is_served_anew(self):
        path = self.root / "changing.txt"
        path.write_text("one")
        self.assertEqual(self.server.get("/changing.txt").body, b"one")
        path.write_text("two!")
        self.assertTrue(server_process.wait_until(lambda: self.server.get("/changing.txt").body == b"two!", 3))
        path.unlink()
        self.assertTrue(server_process.wait_until(lambda: self.server.get("/changing.txt").status == 404, 3))

    def test_the_cache_is_bounded(self):
        for number in range(700):  # 44 MiB
            (self.root / f"filler{number}.bin").write_bytes(self.large[:65536])
        with self.server.connect() as client:
            for number in range(700):
                self.assertEqual(client.get(f"/filler{number}.bin").status, 200)
        if not server_process.is_sanitized() and not server_process.is_emulated():
            self.assertLess(self.server.resident_kib(), 50 * 1024)

    def test_upgrade_is_ignored(self):
        with self.server.connect() as client:
            for _ in range(2):
                client.send(b"GET /small.bin HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
                self.assertEqual(client.answer().body, self.small)

    def test_status_page_is_off(self):
        self.assertEqual(self.server.get("/status").status, 404)


class StatusPage(server_process.ServerTest):
    options = ("--status-path", "/status")

    def test_counts(self):
        with self.server.connect() as client, self.server.connect() as other:
            other.get("/")
            first = re.search(rb'"connections": (\d+), "requests": (\d+)', client.get("/status").body)
            self.assertEqual((int(first[1]), int(first[2])), (2, 2))


if __name__ == "__main__":
    server_process.main()
