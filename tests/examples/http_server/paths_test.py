#!/usr/bin/env python3
"""No path leads out of the document root."""
import os
import socket
import threading
import unittest

import server_process

secret = b"the secret beside the root"


class Paths(server_process.ServerTest):
    @classmethod
    def make_files(cls, root):
        (root.parent / "secret").write_bytes(secret)
        (root.parent / "outside").mkdir()
        (root.parent / "outside" / "secret").write_bytes(secret)
        (root / "inside.txt").write_text("inside")
        (root / "sub").mkdir()
        (root / "sub" / "file.txt").write_text("in sub")
        (root / "link_out").symlink_to("../secret")
        (root / "link_absolute").symlink_to(root.parent / "secret")
        (root / "link_folder").symlink_to("../outside")
        (root / "link_proc").symlink_to("/proc/self/root")
        (root / "sub" / "link_up").symlink_to("../..")
        (root / "link_in").symlink_to("sub/file.txt")
        (root / "loop").symlink_to("loop")
        os.mkfifo(root / "fifo")
        unix = socket.socket(socket.AF_UNIX)
        unix.bind(str(root / "socket"))
        unix.close()

    def test_no_way_out(self):
        for target in ("/../secret", "/..", "/sub/../../secret", "/%2e%2e/secret", "/%2E%2E/secret", "/.%2e/secret",
                       "/%2e./secret", "/..%2fsecret", "/..%2Fsecret", "/sub/..%2f..%2fsecret", "/..%5csecret",
                       "/%252e%252e/secret", "/..%00/secret", "/inside.txt%00", "/..;/secret", "//../secret",
                       "/sub/./../../secret", "/%c0%ae%c0%ae/secret", "http://x/../secret", "http://x/%2e%2e/secret",
                       "/link_out", "/link_absolute", "/link_folder/secret", "/link_folder/",
                       "/link_proc/etc/passwd", "/sub/link_up/secret", "/sub/link_up/root/inside.txt", "/loop",
                       "/etc/passwd", "/fifo", "/socket",
                       "?/../secret", "..", "../secret", "/..?", "/..#"):
            with self.subTest(target):
                answer = self.server.get(target)
                self.assertIn(answer.status, (400, 404))
                self.assertNotIn(secret, answer.body)
                self.assertNotIn(b"root:", answer.body)

    @unittest.skipIf(server_process.is_emulated(), "qemu has no openat2")
    def test_a_link_that_stays_inside_is_followed(self):
        self.assertEqual(self.server.get("/link_in").body, b"in sub")

    def test_the_listing_does_not_look_out(self):
        listing = self.server.get("/").body
        self.assertIn(b"inside.txt", listing)
        self.assertNotIn(b"fifo", listing)

    def test_swapping_a_folder_for_a_link_meanwhile(self):
        """Check and use are one step: a folder that becomes a link between them does not lead out."""
        folder, link, spare = self.root / "swap", self.root / "swap_link", self.root / "swap_spare"
        folder.mkdir()
        (folder / "secret").write_bytes(b"harmless")
        link.symlink_to("../outside")
        done = threading.Event()

        def swap():
            while not done.is_set():
                folder.rename(spare)
                link.rename(folder)
                folder.rename(link)
                spare.rename(folder)

        thread = threading.Thread(target=swap)
        thread.start()
        try:
            with self.server.connect() as client:
                for number in range(3000):
                    # A directory's content is not kept in memory: a name each time, so that each is looked up.
                    self.assertNotIn(secret, client.get("/swap/" + "./" * (number % 3) + "secret").body)
                    self.assertNotIn(secret, client.get(f"/swap/secret{number}").body)
        finally:
            done.set()
            thread.join()


if __name__ == "__main__":
    server_process.main()
