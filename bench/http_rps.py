#!/usr/bin/env python3
"""http_rps_N: requests per second for one file of 1 KiB over N connections, the demo server against another one.

http_rps.py --build DIR --peer nginx|go --connections N --pairs N --seconds N

Both servers run all the time, on one core, and get the same load (http_load, on another core) in turn, A B A B. Prints
one line per pair: requests per second by coir, by the peer. Then, after #, what of its core each used, and per request.
"""
import argparse
import collections
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

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def wait_for_port(server):
    """For a server whose first line ends in the port that the kernel has chosen."""
    readable, _, _ = select.select([server.process.stdout], [], [], 5)
    number = re.search(r"(\d+)\D*$", server.process.stdout.readline()) if readable else None
    if not number:
        server.stop()
        server.died()
    server.port = int(number[1])
    return server


def start_coir(options, directory, root):
    program = options.build / "examples" / "http_server"
    if not program.is_file():
        fail(f"{program} is not there: build it first")
    return wait_for_port(Server("coir", [program, "--root", root, "--port", "0"], directory))


def start_go(options, directory, root):
    program = options.build / "bench" / "go_http"
    # Quick when there is nothing to do. No modules but its own: nothing is fetched.
    environment = os.environ | {"GOCACHE": str(options.build / "go-cache"), "GOFLAGS": "-mod=mod", "GOPROXY": "off"}
    built = subprocess.run([find("go"), "build", "-o", program, "."], env=environment, capture_output=True,
                           text=True, cwd=pathlib.Path(__file__).parent / "peers" / "go_http")
    if built.returncode != 0:
        fail(f"go build: {(built.stderr.strip() or 'no message').splitlines()[-1]}")
    # One thread runs Go code at a time; that is what one core means here.
    return wait_for_port(Server("go", ["env", "GOMAXPROCS=1", program, root / file_name], directory))


def start_nginx(_, directory, root):
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


Turn = collections.namedtuple("Turn", "rate busy cost load_busy")


def load(server, options, file, seconds):
    command = [options.build / "bench" / "http_load", server.port, server.worker, file, options.connections, seconds]
    ran = subprocess.run(list(map(str, command)), capture_output=True, text=True, preexec_fn=pinned(load_core))
    if ran.returncode != 0:
        fail(f"{server.name}: {(ran.stderr.strip() or 'http_load has ended').splitlines()[-1]}")
    return Turn(*map(float, ran.stdout.split()))


def compare(ours, peer, options, file):
    turns = {ours: [], peer: []}
    for server in turns:
        load(server, options, file, 0.3)  # warm-up
    for _ in range(options.pairs):
        for server in turns:
            turns[server].append(load(server, options, file, options.seconds))
        print(turns[ours][-1].rate, turns[peer][-1].rate, flush=True)
    for server, results in turns.items():
        busy, cost, load_busy = (statistics.median(column) for column in list(zip(*results))[1:])
        print(f"# {server.name}: server's core {min(busy, 1):.0%} busy, {cost:.2f} us per request; "
              f"the load's core {min(load_busy, 1):.0%}")


parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--build", required=True, type=pathlib.Path)
parser.add_argument("--peer", choices=["nginx", "go"], default="nginx")
parser.add_argument("--connections", required=True, type=int)
parser.add_argument("--pairs", type=int, default=5)
parser.add_argument("--seconds", type=float, default=1)
options = parser.parse_args()
options.build = options.build.resolve()
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
    file = root / file_name
    file.write_bytes(b"0123456789abcdef" * 64)
    servers = []
    try:
        for start in start_coir, {"nginx": start_nginx, "go": start_go}[options.peer]:
            servers.append(start(options, directory, root))
        compare(*servers, options, file)
    finally:
        for server in servers:
            server.stop()
