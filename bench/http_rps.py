#!/usr/bin/env python3
"""http_rps_N: requests per second for one file of 1 KiB over N connections, the demo server against nginx.

http_rps.py --build DIR --connections N --pairs N --seconds N

Both servers run all the time, on one core, and get the same load (wrk with one thread, on another) in turn, A B A B.
Prints one line per pair: requests per second by coir, by nginx. Then, after #, what of the core each used, and per
request.
"""
import argparse
import ctypes
import os
import pathlib
import re
import resource
import select
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

file_name = "1k.txt"
libc = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1


def fail(message):
    sys.exit(f"http_rps: {message}")


def pinned(core):
    """For a child: stays on `core`, and does not outlive this process, whatever becomes of it."""
    def prepare():
        os.sched_setaffinity(0, {core})
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    return prepare


def find(program):
    # Ordinary users have no /usr/sbin in PATH, and that is where nginx is.
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin") or fail(f"{program} is not installed")


class Server:
    """A running server: where it listens, and the process that does the work."""

    def __init__(self, name, command, directory):
        self.name = name
        self.complaints = open(directory / f"{name}.stderr", "w+")
        self.process = subprocess.Popen(
            command, preexec_fn=pinned(server_core), stdout=subprocess.PIPE, stderr=self.complaints, text=True)
        self.worker = self.process.pid
        self.port = None

    def died(self):
        self.complaints.seek(0)
        lines = self.complaints.read().strip().splitlines() or ["no message"]
        fail(f"{self.name} did not start: {lines[-1]}")

    def url(self):
        return f"http://127.0.0.1:{self.port}/{file_name}"

    def cpu_seconds(self):
        tasks = pathlib.Path(f"/proc/{self.worker}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9

    def check(self, content):
        try:
            with urllib.request.urlopen(self.url(), timeout=5) as answer:
                if answer.read() != content:
                    fail(f"{self.name} serves something else than the file")
        except OSError as error:
            fail(f"{self.name}: {error}")

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def start_coir(build, root, directory):
    program = build / "examples" / "http_server"
    if program.is_dir():
        program = program / "http_server"
    if not program.is_file():
        fail(f"{program} is not there: build it first")
    server = Server("coir", [program, "--root", root, "--port", "0"], directory)
    # Its first line ends in the port that the kernel has chosen.
    readable, _, _ = select.select([server.process.stdout], [], [], 5)
    number = re.search(r"(\d+)\D*$", server.process.stdout.readline()) if readable else None
    if not number:
        server.stop()
        server.died()
    server.port = int(number[1])
    return server


def start_nginx(root, directory):
    # What makes nginx fastest for one small file: no log, files kept open, connections kept for ever, events taken in
    # bulk, and no sendfile, which is for large files (here it costs nginx a quarter of its speed).
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    user = "user root;" if os.geteuid() == 0 else ""
    unused = "\n".join(f"{kind}_temp_path {directory}/{kind};" for kind in
                       ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    configuration = directory / "nginx.conf"
    configuration.write_text(f"""
        {user} worker_processes 1; daemon off; pid {directory}/nginx.pid; error_log stderr warn;
        events {{ worker_connections 4096; multi_accept on; use epoll; }}
        http {{
            access_log off; sendfile off; tcp_nopush off; tcp_nodelay on;
            keepalive_timeout 3600s; keepalive_requests 1000000000;
            open_file_cache max=1000 inactive=3600s; open_file_cache_valid 3600s;
            {unused}
            server {{ listen 127.0.0.1:{port} backlog=4096; root {root}; }}
        }}""")
    server = Server("nginx", [find("nginx"), "-p", directory, "-e", "stderr", "-c", configuration], directory)
    server.port = port
    children = pathlib.Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
    limit = time.monotonic() + 5
    while server.process.poll() is None and time.monotonic() < limit:
        if worker := children.read_text().split():
            server.worker = int(worker[0])
            return server
        time.sleep(0.02)
    server.stop()
    server.died()


def load(wrk, server, connections, seconds):
    """Requests per second, the part of its core that the server used, and its processor time per request in us."""
    before = server.cpu_seconds()
    command = [wrk, "-t1", f"-c{connections}", f"-d{seconds}s", server.url()]
    report = subprocess.run(command, capture_output=True, text=True, preexec_fn=pinned(load_core)).stdout
    used = server.cpu_seconds() - before
    requests = re.search(r"(\d+) requests in ([\d.]+)s", report)
    if not requests or int(requests[1]) == 0:
        fail(f"{server.name}: wrk measured nothing: {report.strip() or 'no output'}")
    if bad := re.search(r"Socket errors.*|Non-2xx.*", report):
        fail(f"{server.name}: {bad[0].strip()}")
    per_second = float(re.search(r"Requests/sec:\s*([\d.]+)", report)[1])
    return per_second, used / float(requests[2]), used / int(requests[1]) * 1e6


def compare(ours, peer, options):
    wrk = find("wrk")
    measured = {ours: [], peer: []}
    for server in measured:
        load(wrk, server, options.connections, 1)  # warm-up
    for _ in range(options.pairs):
        for server, results in measured.items():
            results.append(load(wrk, server, options.connections, options.seconds))
        print(measured[ours][-1][0], measured[peer][-1][0], flush=True)
    for server, results in measured.items():
        busy, cost = (statistics.median(column) for column in list(zip(*results))[1:])
        print(f"# {server.name}: server's core {min(busy, 1):.0%} busy, {cost:.2f} us per request")


parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--build", required=True, type=pathlib.Path)
parser.add_argument("--connections", required=True, type=int)
parser.add_argument("--pairs", type=int, default=5)
parser.add_argument("--seconds", type=int, default=1)
options = parser.parse_args()
cores = sorted(os.sched_getaffinity(0))
if len(cores) < 2:
    fail("server and load need a core each")
server_core, load_core = cores[:2]
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that `finally` stops the servers then, too
_, most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

with tempfile.TemporaryDirectory(prefix="coir-bench-") as name:
    directory = pathlib.Path(name)
    root = directory / "root"
    root.mkdir()
    content = b"0123456789abcdef" * 64
    (root / file_name).write_bytes(content)
    servers = []
    try:
        servers.append(start_coir(options.build, root, directory))
        servers.append(start_nginx(root, directory))
        for server in servers:
            server.check(content)
        compare(*servers, options)
    finally:
        for server in servers:
            server.stop()
